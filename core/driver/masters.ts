/**
 * Endpoints as the driver knows them (linux: arm_smmu_probe_device), and the domain that the kernel gives an
 * endpoint that nobody has taken.
 */
import { present } from '../assert.ts';
import type { EndpointConfig } from '../config.ts';
import { streamsOf } from '../endpoint/further.ts';
import type { Context } from '../machine.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { planAttach, type Target } from './attach.ts';
import { makePaging } from './domains.ts';
import { inGroup } from './group.ts';
import { driverOf, portOf, tell } from './port.ts';
import { behavioursOf } from './releases.ts';
import { hasReserved, mapReserved } from './reserved.ts';
import type { DriverState, Master } from './state.ts';
import { extendStreamTable, hasStream } from './stream-table.ts';

/** Probes the endpoints behind the SMMU, in the order of the machine. */
export function probeEndpoints({ state }: Context, driver: DriverState): readonly Frame[] {
  if (driver.setup.platform.lateProbe === true) return [];
  return portOf(driver)
    .endpoints(state, driver)
    .map(({ name: endpoint }) => ({ do: 'endpoint.probe', driver: driver.name, endpoint }));
}

interface ProbeFrame extends Frame {
  readonly do: 'endpoint.probe';
  readonly driver: string;
  readonly endpoint: string;
}

export const probeRow: FrameRow<ProbeFrame> = {
  run: (context, { driver: name, endpoint }) => {
    const driver = driverOf(context.state, name);
    const found = portOf(driver)
      .endpoints(context.state, driver)
      .find((each) => each.name === endpoint);
    const config = present(found, `endpoint ${endpoint}`);
    const streams = streamsOf(context.state, config);
    if (!streams.every((sid) => hasStream(driver, sid)))
      return tell(context, driver, 'StreamID out of range', endpoint);
    if (!streams.every((sid) => extendStreamTable(context, driverOf(context.state, name), sid)))
      return tell(context, driver, 'no memory for a stream table leaf', endpoint);
    const master = masterFrom(driver, config, streams);
    context.emit(driver.setup.actor, { type: 'master.added', driver: name, endpoint, master });
    // STU is written, and ATS stays off until there is a domain.
    if (config.ats) portOf(driver).switchAts(context, endpoint, false, driver);
    return [inGroup(name, endpoint, [{ do: 'endpoint.default', driver: name, endpoint }])];
  },
};

function masterFrom(driver: DriverState, config: EndpointConfig, streams: readonly number[]): Master {
  const features = present(driver.features, 'features');
  return {
    endpoint: config.name,
    streams,
    ssidBits: Math.min(features.ssidBits, config.ssidBits),
    // Firmware's `dma-can-stall`, or an SMMU that always stalls.
    stallEnabled: features.stallForce || (features.stalls && config.stall === true),
    canAts: features.ats && driver.setup.platform.rootAts && config.ats,
    cdInSte: false,
    atsEnabled: false,
    attached: { 0: 'blocked' },
  };
}

interface DefaultFrame extends Frame {
  readonly do: 'endpoint.default';
  readonly driver: string;
  readonly endpoint: string;
}

/** Attaches the endpoint to a default domain of its own. */
export const defaultRow: FrameRow<DefaultFrame> = {
  run: (context, { driver: name, endpoint }) => {
    const driver = driverOf(context.state, name);
    const target = defaultTarget(context, driver);
    if ('errno' in target) return tell(context, driver, 'no default domain', `${endpoint}: ${target.errno}`);
    const plan = planAttach(context, endpoint, target.to, { owner: driver.setup.owner });
    if ('errno' in plan) return tell(context, driver, 'default attach failed', `${endpoint}: ${plan.errno}`);
    return [...(target.before ?? []), ...plan, ...flushOfDefault(driver, target.to)];
  },
};

/** linux: iommu_create_device_direct_mappings; before 6.4 whether it has mapped anything or not. */
function flushOfDefault(driver: DriverState, to: Target): readonly Frame[] {
  if (typeof to === 'string' || !(behavioursOf(driver).flushDefault || hasReserved(driver))) return [];
  return [{ do: 'invs.range', domain: to.domain, iova: 0, size: 0, granule: 0, leaf: false }];
}

function defaultTarget(
  context: Context,
  driver: DriverState,
): { readonly to: Target; readonly before?: readonly Frame[] } | { readonly errno: string } {
  const { defaultDomain } = driver.setup.platform;
  if (defaultDomain === 'identity' || defaultDomain === 'blocked') return { to: defaultDomain };
  const made = makePaging(context, driver, {});
  if ('errno' in made) return made;
  const before: Frame[] = [];
  const errno = mapReserved(context, driver, made.domain, before);
  return errno === undefined ? { to: { domain: made.domain }, before } : { errno };
}

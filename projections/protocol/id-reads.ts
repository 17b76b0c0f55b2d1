/** Where software read an identification register, or was told of it by GET_HW_INFO. */
import type { Unit, World } from './world.ts';

/** What a note says of how software could have known. @param field as in `IDR0.STALL_MODEL` */
export function knownFrom(world: World, { name }: Unit, field: string): string {
  const [register = ''] = field.split('.');
  const at = world.idReads.get(`${name}.${register}`);
  return at === undefined
    ? `software never read ${register} of ${name} in this log`
    : `${world.at(at)} software read ${register} of ${name}`;
}

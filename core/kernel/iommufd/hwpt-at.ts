/** HWPTs by their ids, and whose addresses they take. */
import { present } from '../../assert.ts';
import type { State } from '../../state.ts';
import { objectOf } from './object.ts';
import { contextIn } from './object-handlers.ts';
import type { HwptNested, HwptPaging } from './state.ts';

export type Hwpt = HwptPaging | HwptNested;

/** The HWPT of that id, published or not. */
export function hwptAt(state: State, context: number, id: number): Hwpt {
  return present(contextIn(state, context).objects.get(id), `HWPT ${id}`) as Hwpt;
}

/** The paging HWPT whose IOAS a HWPT's addresses are of. */
export function pagingOf(state: State, context: number, hwpt: Hwpt): HwptPaging {
  if (hwpt.kind === 'hwpt_paging') return hwpt;
  const parent = hwpt.viommu === 0 ? hwpt.parent : objectOf(state, context, hwpt.viommu, 'viommu').hwpt;
  return objectOf(state, context, parent, 'hwpt_paging');
}

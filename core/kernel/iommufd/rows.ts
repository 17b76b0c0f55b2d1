/** Joins what the kinds of object bring: ioctls, how an object ends, what its file can do. */
import type { FileKindRow } from '../files.ts';
import type { Rows } from '../ioctl.ts';
import type { FileKind } from '../state.ts';
import type { KindRow } from './kinds.ts';
import { contextRows } from './context.ts';
import { copyRows } from './ioas-copy.ts';
import { ioasKind, ioasRows } from './ioas.ts';
import { mapRows } from './ioas-map.ts';
import { optionRows } from './option.ts';
import type { ObjectKind } from './state.ts';
import { unmapRows } from './ioas-unmap.ts';

export const rows: Rows = {
  ...contextRows,
  ...ioasRows,
  ...mapRows,
  ...copyRows,
  ...unmapRows,
  ...optionRows,
};

/** How objects end; those that are not here just go. */
export const kinds: { readonly [K in ObjectKind]?: KindRow<K> } = {
  ioas: ioasKind,
};

/** Files that belong to objects. */
export const objectFiles: { readonly [K in FileKind]?: FileKindRow<K> } = {};

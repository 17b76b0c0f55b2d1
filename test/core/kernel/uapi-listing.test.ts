/**
 * Holds the tables of the uAPI against a listing made from the kernel's headers independently of the code
 * (test/data/iommufd-layout.json, vfio-irqs-layout.json), both ways: every ioctl, struct, field, name and constant, with its
 * place, number, direction and release; nothing missing, nothing extra.
 */
import { describe, expect, it } from 'vitest';
import { errnoName, errnos } from '../../../core/kernel/errno.ts';
import { dataStructs, structs } from '../../../core/kernel/uapi/data-structs.ts';
import {
  constants,
  type EnumName,
  enums,
  type MemberName,
  members,
} from '../../../core/kernel/uapi/enums.ts';
import { containerIoctls, type IoctlName, ioctlCode, ioctls } from '../../../core/kernel/uapi/ioctls.ts';
import type { Struct } from '../../../core/kernel/uapi/struct.ts';
import { ioctlStructs } from '../../../core/kernel/uapi/structs.ts';
import { type Version, versions } from '../../../core/kernel/uapi/versions.ts';
import { table } from '../../support/tables.ts';
import { listing } from '../../support/uapi-listing.ts';

type ListedField = {
  name: string;
  offset: number;
  size: number;
  type: string;
  dir: string;
  role?: string;
  enum?: string;
  since?: string;
  overlaps?: string;
};
type ListedStruct = { size: number; minSize?: number; since?: string; fields: ListedField[] };
type ListedIoctl = ListedStruct & { name: string; nr: number; code: string; file: string; struct: string };

const listedIoctls = listing.ioctls as ListedIoctl[];
const listedStructs = listing.structs as Record<string, ListedStruct>;
const listedEnums = listing.enums as unknown as Record<string, Record<string, number>>;
const listedSince = listing.enumSince as Record<string, string>;

/** What the listing leaves open between 7.0 and 7.2 is certain from 7.2 on; remarks in brackets are left out. */
function release(text: string): Version {
  const found = text.startsWith('between 7.0 and 7.2') ? '7.2' : text.split(' ')[0];
  expect(versions).toContain(found);
  return found as Version;
}

function expectFields(of: Struct, fields: readonly ListedField[]): void {
  const ours = Object.entries(of.fields).map(([name, field]) => ({
    name,
    offset: field.offset,
    size: field.bytes,
    type: field.type,
    dir: field.dir,
    since: field.since,
    overlaps: field.over,
  }));
  const theirs = fields.map(({ name, offset, size, type, dir, since, overlaps }) => ({
    name,
    offset,
    size,
    type: type.replace('le64', 'u64'),
    dir,
    // The padding that 6.14 gave a name was there before.
    since: since === undefined || since.includes('padding before') ? undefined : release(since),
    overlaps,
  }));
  expect(ours).toEqual(theirs);
  for (const { name, enum: set } of fields) {
    expect(of.fields[name]!.names, `${of.name}.${name}`).toBe(
      set === undefined ? undefined : enums[set as EnumName],
    );
  }
}

describe('every ioctl', () => {
  it('is in the listing, and the listing in the table', () => {
    expect(Object.keys(ioctls)).toEqual(listedIoctls.map(({ name }) => name));
    expect(Object.keys(ioctlStructs)).toEqual(listedIoctls.map(({ struct }) => struct));
  });

  it.each(listedIoctls.map((row) => [row.name, row] as const))('%s', (name, row) => {
    const ours = ioctls[name as IoctlName];
    expect({ ...ours, code: ioctlCode(ours.nr), size: ioctlStructs[ours.struct].bytes }).toEqual({
      nr: row.nr,
      code: Number(row.code),
      file: row.file,
      struct: row.struct,
      size: row.size,
      min: row.minSize,
      since: row.since,
    });
    expectFields(ioctlStructs[ours.struct], row.fields);
  });

  it.each(listedIoctls.map((row) => [row.name, row] as const))(
    '%s: says where its pointers lead',
    (_, row) => {
      const { fields }: Struct = ioctlStructs[row.struct as keyof typeof ioctlStructs];
      const isPointer = ({ role = '' }: ListedField): boolean => role.startsWith('user pointer');
      const ours = Object.keys(fields).filter((name) => fields[name]!.points !== undefined);
      expect(ours).toEqual(row.fields.filter(isPointer).map(({ name }) => name));
      for (const name of ours) {
        const points = fields[name]!.points!;
        const written = /written|ORed/.test(row.fields.find((field) => field.name === name)!.role ?? '');
        expect(points.dir !== 'in', name).toBe(written);
        const others = Object.entries(points).filter(([key]) => ['count', 'bytes', 'type'].includes(key));
        for (const [, other] of others) if (typeof other === 'string') expect(fields).toHaveProperty(other);
      }
    },
  );

  it('of the container has the code of the listing', () => {
    const codes = Object.entries(containerIoctls).map(([name, { nr }]) => [name, ioctlCode(nr)]);
    expect(Object.fromEntries(codes)).toEqual(listedEnums['vfio_compat_codes']);
    for (const row of Object.values(containerIoctls)) {
      if ('struct' in row) expect(row.min).toBe(listedStructs[row.struct]!.minSize);
    }
  });
});

describe('every other struct', () => {
  it('is in the listing, and the listing in the table', () => {
    expect(Object.keys(structs)).toEqual(Object.keys(listedStructs));
  });

  it.each(Object.entries(listedStructs))('%s', (name, row) => {
    const ours = structs[name as keyof typeof structs];
    expect(ours.name).toBe(name);
    expect(ours.bytes).toBe(row.size);
    expectFields(ours, row.fields);
  });

  it('has the release of the data type that stands for it', () => {
    for (const types of Object.values(dataStructs)) {
      for (const [type, struct] of Object.entries(types)) {
        expect(members[type as MemberName][1], type).toBe(release(listedStructs[struct]!.since!));
      }
    }
  });
});

describe('every name', () => {
  it('is in the listing, and the listing in the table', () => {
    const { vfio_compat_codes: _, ...sets } = listedEnums;
    const ours = Object.entries(enums).map(([set, { members: held }]) => [
      set,
      Object.fromEntries(Object.entries(held).map(([name, [value]]) => [name, value])),
    ]);
    expect(Object.fromEntries(ours)).toEqual(sets);
  });

  it('has the release of the listing, or of what it belongs to', () => {
    for (const [name, since] of Object.entries(listedSince)) {
      expect(members[name as MemberName][1], name).toBe(release(since));
    }
    // Sets without releases of their own came with the call or the record that holds them.
    const holders = [...listedIoctls, ...Object.values(listedStructs)];
    for (const [set, { members: held }] of Object.entries(enums)) {
      const holder = holders.filter(({ fields }) => fields.some((field) => field.enum === set));
      const first = holder
        .map(({ since = '6.2' }) => release(since))
        .sort((a, b) => versions.indexOf(a) - versions.indexOf(b))[0];
      for (const [name, [, since]] of Object.entries(held)) {
        if (listedSince[name] === undefined) expect(since, name).toBe(first ?? '6.2');
      }
    }
  });

  it('is said of flags where bits are combined, and of values where not', () => {
    for (const [set, { kind, members: held }] of Object.entries(enums)) {
      const numbers = Object.values(held).map(([value]) => value);
      const bits = numbers.every((value, index) => value === 1 << index);
      expect(kind, set).toBe(bits && !/_(type|op|ops|option|code)$|extension/.test(set) ? 'flags' : 'values');
    }
  });
});

describe('constants', () => {
  it('are those of the listing', () => expect(constants).toEqual(listing.constants));
});

describe('errnos', () => {
  const rows = table<'name' | 'number'>(`
    name       | number
    EPERM      | 1
    ENOENT     | 2
    EIO        | 5
    ENXIO      | 6
    E2BIG      | 7
    EBADF      | 9
    ENOMEM     | 12
    EACCES     | 13
    EFAULT     | 14
    EBUSY      | 16
    EEXIST     | 17
    ENODEV     | 19
    EINVAL     | 22
    ENOTTY     | 25
    ENOSPC     | 28
    ESPIPE     | 29
    ERANGE     | 34
    EDEADLK    | 35
    EOVERFLOW  | 75
    EBADFD     | 77
    EMSGSIZE   | 90
    EOPNOTSUPP | 95
    EADDRINUSE | 98
    ETIMEDOUT  | 110
  `);

  it('have the numbers of asm-generic/errno.h, both ways', () => {
    expect(errnos).toEqual(Object.fromEntries(rows.map(({ name, number }) => [name, Number(number)])));
    for (const { name, number } of rows) expect(errnoName(Number(number))).toBe(name);
    expect(errnoName(0)).toBeUndefined();
    expect(errnoName(11)).toBeUndefined();
  });
});

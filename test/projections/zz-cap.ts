import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Simulation } from '/work/main/core/simulation.ts';
import type { Entry } from '/work/main/core/event.ts';
import { checkHistory } from '/work/main/projections/check.ts';
import { report } from '/work/main/projections/report.ts';
import { machine, reset } from '/work/main/test/support/build.ts';
const file = process.argv[2]!;
const lines = gunzipSync(readFileSync(file)).toString().split('\n');
const base = machine();
const sids = file.includes('boot') ? [0x10, 0x18] : [0x20];
const m = { ...base, ram: [{ base: 0x40000000, size: 0x20000000 }], smmus: [{ ...base.smmus[0]!, caches: { ste: 'unbounded', cd: 'unbounded', tlb: 256, walk: Number(process.argv[3] ?? 0) ? 'unbounded' : 0 } as const, replacement: 'flush-all' as const }],
  endpoints: sids.map((s) => ({ name: `d${s.toString(16)}`, smmu: 'smmu0', streamId: s, ats: false, pri: false, ssidBits: 0, atc: 0 as const })) };
const sim = new Simulation(reset(m));
const entries: Entry[] = [];
sim.entries$.subscribe((s) => entries.push(...s));
const le = (v: bigint, n: number) => { const b = new Uint8Array(n); for (let i = 0; i < n; i++) b[i] = Number((v >> BigInt(8 * i)) & 255n); return b; };
let lineNo = 0;
for (const raw of lines) {
  lineNo += 1;
  const line = raw.replace(/^\d+@[\d.]+:/, '');
  const name = line.split(' ')[0];
  const f = Object.fromEntries([...line.matchAll(/(\w+)=(\S*)/g)].map((x) => [x[1]!, x[2]!]));
  if (name === 'cap_store') sim.dispatch({ type: 'mem.write', pa: Number(f.pa), bytes: le(BigInt(f.val!), Number(f.size)), line: lineNo, cpu: Number(f.cpu), pc: BigInt(f.pc!), actor: 'cpu0' });
  else if (name === 'cap_page') { const b = new Uint8Array(4096); for (const w of (f.words ?? '').split(',')) { if (!w) continue; const [o, v] = w.split(':'); b.set(le(BigInt(v!), 8), Number(o)); } sim.dispatch({ type: 'mem.write', pa: Number(f.pa), bytes: b, line: lineNo }); }
  else if (name === 'cap_mmio_write') sim.dispatch({ type: 'mmio.write', smmu: 'smmu0', offset: Number(f.off), size: Number(f.size), value: BigInt(f.val!), line: lineNo });
  else if (name === 'smmuv3_translate_success') sim.dispatch({ type: 'dma', endpoint: `d${Number(f.sid).toString(16)}`, iova: BigInt(f.iova!), size: 8, access: Number(f.perm) === 1 ? 'read' : 'write', line: lineNo });
}
const fs = checkHistory(entries, m, 'main');
console.log(file, entries.length, 'entries', entries.filter((e) => e.type === 'access.completed').length, 'ok', entries.filter((e) => e.type === 'access.terminated').length, 'terminated', fs.length, 'findings');
for (const x of fs) console.log(x.verdict, x.position, x.title, x.blame.what, x.obligations[0]?.remade);
if (fs[1]) console.log(report(fs[1]));

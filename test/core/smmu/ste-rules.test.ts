/**
 * Every rule that makes an STE ILLEGAL (IHI 0070 5.2.2): rows that break it and their twins that just do
 * not, each through an access and through the rule list. Then what must not matter: fields that are
 * IGNORED may hold anything.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../core/layout/layout.ts';
import { Features } from '../../../core/smmu/features.ts';
import { STE, steConfig } from '../../../core/smmu/ste.ts';
import { brokenSteRule, steRules } from '../../../core/smmu/ste-rules.ts';
import { at, bringUp, dma, machine, SID, ste, storeWords } from '../../support/build.ts';
import { on } from '../../support/given.ts';
import { graft, idr, put, table, withFields } from '../../support/tables.ts';

/** Both stages, and nothing of what rows are about. */
const FEATURES = 'S2P=1 TTF=2 VMID16=1 TTENDIAN=0 STALL_MODEL=0 FWB=1 HTTU=2';

/** Stage 2 of 40 bits with 4KB tables: two first tables of level 1. Ignored by an STE without stage 2. */
const STAGE_2 = 'S2AA64=1 S2TG=4KB S2T0SZ=24 S2SL0=1 S2PS=5 S2TTB=0x200000 S2VMID=7';

const features = (changes: string): Record<string, number> => idr(`${FEATURES} ${changes}`);
const words = (changes: string): Uint32Array => put(STE.fields, ste(), `${STAGE_2} ${changes}`);

const rows = table<'fields' | 'features' | 'verdict'>(`
  fields                                           | features               | verdict
  V=0                                              |                        | V=0
  V=0 Config=0                                     |                        | V=0
  Config=0 S1CDMax=31 S1STALLD=1 S2TG=3            | STALL_MODEL=1          | ok
  Config=1 S1CDMax=31 S2T0SZ=0                     |                        | ok
  Config=2 S1CDMax=31 S2SL0=3                      |                        | ok
  Config=3 S1CDMax=31 S2AA64=0                     |                        | ok
  Config=BYPASS                                    | S2P=0                  | ok
  Config=BYPASS S1CDMax=31 S1STALLD=1 STRW=1 S2TG=3 | Hyp=1 STALL_MODEL=1   | ok
  Config=S1                                        |                        | ok
  Config=S2                                        |                        | ok
  Config=NESTED                                    |                        | ok

  Config=S1                                        | S1P=0                  | stage-1-absent
  Config=NESTED                                    | S1P=0                  | stage-1-absent
  Config=S2                                        | S1P=0                  | ok
  Config=S2                                        | S2P=0                  | stage-2-absent
  Config=NESTED                                    | S2P=0                  | stage-2-absent
  Config=S1                                        | S2P=0                  | ok

  Config=NESTED EATS=SPLIT                         | ATS=1                  | ok
  Config=S1 EATS=SPLIT                             | ATS=1                  | eats-split-config
  Config=S2 EATS=SPLIT                             | ATS=1                  | eats-split-config
  Config=S1 EATS=SPLIT                             | ATS=0                  | ok
  Config=BYPASS EATS=SPLIT                         | ATS=1                  | ok
  Config=NESTED EATS=SPLIT S2S=1                   | ATS=1                  | eats-split-stall
  Config=NESTED EATS=SPLIT S2S=1                   | ATS=0                  | ok
  Config=NESTED EATS=SPLIT                         | ATS=1 NS1ATS=1         | eats-split-absent
  Config=NESTED EATS=SPLIT                         | ATS=0 NS1ATS=1         | ok
  Config=NESTED EATS=FULL                          | ATS=1 NS1ATS=1         | ok
  Config=NESTED EATS=FULL S2S=1                    | ATS=1                  | eats-full-stall
  Config=S2 EATS=FULL S2S=1                        | ATS=1                  | eats-full-stall
  Config=S1 EATS=FULL S2S=1                        | ATS=1                  | ok
  Config=NESTED EATS=FULL S2S=1                    | ATS=0                  | ok
  Config=NESTED EATS=OFF S2S=1                     | ATS=1                  | ok
  Config=NESTED EATS=OFF S2S=1                     | ATS=1 DPT=1            | ok
  Config=S1 EATS=FULL_DPT STRW=2                   | ATS=1 DPT=1 Hyp=1      | eats-dpt-world
  Config=S1 EATS=FULL_DPT STRW=2                   | ATS=1 DPT=0 Hyp=1      | ok
  Config=S1 EATS=FULL_DPT STRW=2                   | ATS=1 DPT=1 Hyp=0      | ok
  Config=S1 EATS=FULL_DPT STRW=0                   | ATS=1 DPT=1 Hyp=1      | ok
  Config=S1 EATS=FULL STRW=2                       | ATS=1 DPT=1 Hyp=1      | ok
  Config=NESTED EATS=FULL_DPT STRW=2               | ATS=1 DPT=1 Hyp=1      | ok
  Config=NESTED EATS=FULL_DPT S2S=1                | ATS=1 DPT=1            | eats-dpt-stall
  Config=NESTED EATS=FULL_DPT S2S=1                | ATS=1 DPT=0            | ok
  Config=S1 EATS=FULL_DPT S2S=1                    | ATS=1 DPT=1            | ok

  Config=S1 STRW=1                                 | Hyp=1                  | strw-reserved
  Config=S1 STRW=3                                 | Hyp=1                  | strw-reserved
  Config=S1 STRW=2                                 | Hyp=1                  | ok
  Config=S1 STRW=0                                 | Hyp=1                  | ok
  Config=S1 STRW=1                                 | Hyp=0                  | ok
  Config=NESTED STRW=1                             | Hyp=1                  | ok
  Config=S2 STRW=3                                 | Hyp=1                  | ok

  Config=S1 S1STALLD=1                             | STALL_MODEL=1          | s1stalld
  Config=NESTED S1STALLD=1                         | STALL_MODEL=1          | s1stalld
  Config=S1 S1STALLD=1                             | STALL_MODEL=2          | s1stalld
  Config=S1 S1STALLD=1                             | STALL_MODEL=0          | ok
  Config=S2 S1STALLD=1                             | STALL_MODEL=1          | ok

  Config=S1 S1CDMax=21                             | SSIDSIZE=20            | s1cdmax-too-large
  Config=NESTED S1CDMax=6                          | SSIDSIZE=5             | s1cdmax-too-large
  Config=S1 S1CDMax=20                             | SSIDSIZE=20            | ok
  Config=S1 S1CDMax=31                             | SSIDSIZE=0             | ok
  Config=S2 S1CDMax=31                             | SSIDSIZE=20            | ok

  Config=S1 S1CDMax=4 S1Fmt=1                      | CD2L=0                 | s1fmt-two-level
  Config=NESTED S1CDMax=4 S1Fmt=2                  | CD2L=0                 | s1fmt-two-level
  Config=S1 S1CDMax=4 S1Fmt=1                      | CD2L=1                 | ok
  Config=S1 S1CDMax=4 S1Fmt=3                      | CD2L=0                 | ok
  Config=S1 S1CDMax=0 S1Fmt=1                      | CD2L=0                 | ok
  Config=S1 S1CDMax=4 S1Fmt=1                      | CD2L=0 SSIDSIZE=0      | ok
  Config=S2 S1CDMax=4 S1Fmt=1                      | CD2L=0                 | ok

  Config=S1 S1ContextPtr=0x1000000000000           | OAS=5                  | s1contextptr-too-large
  Config=S1 S1ContextPtr=0xffffffffffc0            | OAS=5                  | ok
  Config=S1 S1ContextPtr=0x1000000000000           | OAS=6                  | ok
  Config=S2 S1ContextPtr=0x1000000000000           | OAS=5                  | ok
  Config=S1 S1ContextPtr=0x1000000000              | OAS=1 TTF=3            | s1contextptr-too-large
  Config=NESTED S1ContextPtr=0x1000000000 S2T0SZ=30 S2PS=0 | OAS=1 TTF=3    | ok
  Config=NESTED S1ContextPtr=0x10000000000 S2T0SZ=30 S2PS=0 | OAS=1 TTF=3   | s1contextptr-too-large

  Config=S2 S2AA64=0 S2T0SZ=0 S2FWB=1              | TTF=3 FWB=1            | s2fwb-lpae
  Config=S2 S2AA64=0 S2T0SZ=0 S2FWB=0              | TTF=3 FWB=1            | ok
  Config=S2 S2AA64=0 S2T0SZ=0 S2FWB=1              | TTF=3 FWB=0            | ok
  Config=S2 S2FWB=1                                | FWB=1                  | ok
  Config=S1 S2AA64=0 S2FWB=1                       | TTF=3 FWB=1            | ok

  Config=S2 S2S=1                                  | STALL_MODEL=1          | s2s-absent
  Config=NESTED S2S=1                              | STALL_MODEL=1          | s2s-absent
  Config=S2 S2S=0                                  | STALL_MODEL=1          | ok
  Config=S2 S2S=1                                  | STALL_MODEL=0          | ok
  Config=S1 S2S=1                                  | STALL_MODEL=1          | ok
  Config=S2 S2S=0                                  | STALL_MODEL=2          | s2s-forced
  Config=S2 S2S=1                                  | STALL_MODEL=2          | ok
  Config=S1 S2S=0                                  | STALL_MODEL=2          | ok

  Config=S2 S2AA64=0 S2T0SZ=0                      | TTF=2                  | s2aa64-0
  Config=S2 S2AA64=0 S2T0SZ=0                      | TTF=3                  | ok
  Config=S1 S2AA64=0                               | TTF=2                  | ok
  Config=S2                                        | TTF=1                  | s2aa64-1
  Config=S2 S2AA64=0 S2T0SZ=0                      | TTF=1                  | ok
  Config=S2                                        | TTF=3                  | ok

  Config=S2 S2AA64=0 S2T0SZ=0 S2HA=1               | TTF=3 HTTU=2           | s2ha-s2hd-lpae
  Config=S2 S2AA64=0 S2T0SZ=0 S2HD=1               | TTF=3 HTTU=2           | s2ha-s2hd-lpae
  Config=S2 S2HA=1                                 | HTTU=0                 | s2ha-s2hd-absent
  Config=S2 S2HD=1                                 | HTTU=0                 | s2ha-s2hd-absent
  Config=S1 S2HA=1                                 | HTTU=0                 | ok
  Config=S2                                        | HTTU=0                 | ok
  Config=S2 S2HA=1                                 | HTTU=1                 | ok
  Config=S2 S2HA=1 S2HD=1                          | HTTU=1                 | s2hd-absent
  Config=S2 S2HA=1 S2HD=1                          | HTTU=2                 | ok
  Config=S2 S2HA=0 S2HD=1                          | HTTU=2                 | ok
  Config=S2 S2HAFT=1                               | HTTU=3                 | s2haft-without-s2ha
  Config=S2 S2HAFT=1 S2HA=1                        | HTTU=3                 | ok
  Config=S2                                        | HTTU=3                 | ok
  Config=S2 S2HAFT=1                               | HTTU=2                 | ok
  Config=S1 S2HAFT=1                               | HTTU=3                 | ok

  Config=S2 S2TG=3                                 |                        | s2tg-absent
  Config=S2                                        | GRAN4K=0               | s2tg-absent
  Config=S2 S2TG=16KB                              | GRAN16K=0              | s2tg-absent
  Config=S2 S2TG=64KB                              | GRAN64K=0              | s2tg-absent
  Config=S2 S2TG=16KB S2SL0=2                      |                        | ok
  Config=S2 S2TG=64KB                              |                        | ok
  Config=S1 S2TG=3                                 |                        | ok
  Config=S2 S2AA64=0 S2T0SZ=0 S2TG=3               | TTF=3                  | ok

  Config=S2 S2PS=0 S2TTB=0x100000000               |                        | s2ttb-too-large
  Config=S2 S2PS=0 S2TTB=0xfffffff0                |                        | ok
  Config=S2 S2PS=7 S2TTB=0x1000000000000           | OAS=5                  | s2ttb-too-large
  Config=S2 S2PS=7 S2TTB=0xfffffffffff0            | OAS=5                  | ok
  Config=S2 S2PS=6 S2TTB=0x1000000000000           | OAS=6                  | s2ttb-too-large
  Config=S2 S2PS=6 S2TTB=0x1000000000000 S2DS=1    | OAS=6 DS=1             | ok
  Config=S2 S2PS=6 S2TTB=0x1000000000000 S2DS=1    | OAS=6 DS=0             | s2ttb-too-large
  Config=S2 S2PS=6 S2TTB=0x1000000000000 S2TG=64KB | OAS=6                  | ok
  Config=S2 S2PS=5 S2TTB=0x1000000000000 S2TG=64KB | OAS=6                  | s2ttb-too-large
  Config=S2 S2AA64=0 S2T0SZ=0 S2TTB=0x10000000000  | TTF=3                  | s2ttb-too-large
  Config=S2 S2AA64=0 S2T0SZ=0 S2PS=0 S2TTB=0xfffffffff0 | TTF=3             | ok
  Config=S1 S2PS=0 S2TTB=0x100000000               |                        | ok

  Config=S2 S2T0SZ=39 S2SL0=0                      | STT=0                  | ok
  Config=S2 S2T0SZ=40 S2SL0=0                      | STT=0                  | s2t0sz-range
  Config=S2 S2T0SZ=48 S2SL0=3                      | STT=1                  | ok
  Config=S2 S2T0SZ=49 S2SL0=3                      | STT=1                  | s2t0sz-range
  Config=S2 S2T0SZ=48 S2SL0=0 S2TG=16KB            | STT=1                  | ok
  Config=S2 S2T0SZ=47 S2SL0=0 S2TG=64KB            | STT=1                  | ok
  Config=S2 S2T0SZ=48 S2SL0=0 S2TG=64KB            | STT=1                  | s2t0sz-range
  Config=S2 S2T0SZ=16 S2SL0=2                      | OAS=5                  | ok
  Config=S2 S2T0SZ=15 S2SL0=2                      | OAS=6                  | s2t0sz-range
  Config=S2 S2T0SZ=19 S2SL0=2                      | OAS=4                  | s2t0sz-range
  Config=S2 S2T0SZ=20 S2SL0=2                      | OAS=4                  | ok
  Config=S2 S2T0SZ=12 S2SL0=2 S2DS=1               | OAS=6 DS=1             | ok
  Config=S2 S2T0SZ=12 S2SL0=2 S2DS=1               | OAS=6 DS=0             | s2t0sz-range
  Config=S2 S2T0SZ=12 S2SL0=2 S2DS=1               | OAS=5 DS=1             | s2t0sz-range
  Config=S2 S2T0SZ=11 S2SL0=2 S2DS=1               | OAS=6 DS=1             | s2t0sz-range
  Config=S2 S2T0SZ=12 S2SL0=2 S2TG=64KB            | OAS=6                  | ok
  Config=S2 S2T0SZ=24 S2PS=0                       | OAS=1 TTF=3            | ok
  Config=S2 S2T0SZ=24 S2PS=0                       | OAS=1 TTF=2            | s2t0sz-range
  Config=S1 S2T0SZ=0                               |                        | ok

  Config=S2 S2TG=64KB S2SL0=3                      |                        | s2sl0-reserved
  Config=S2 S2TG=16KB S2SL0=3 S2T0SZ=16            | OAS=6 DS=0             | s2sl0-reserved
  Config=S2 S2TG=16KB S2SL0=3 S2T0SZ=16 S2DS=1     | OAS=6 DS=1             | ok
  Config=S2 S2SL0=1 S2SL0_2=1 S2DS=1               | OAS=6 DS=1             | s2sl0-reserved
  Config=S2 S2SL0=0 S2SL0_2=1 S2T0SZ=15 S2DS=1     | OAS=6 DS=1             | ok
  Config=S2 S2SL0=1 S2SL0_2=1                      | OAS=6 DS=1             | ok
  Config=S2 S2SL0=1 S2SL0_2=1 S2DS=1               | OAS=6 DS=0             | ok
  Config=S2 S2AA64=0 S2T0SZ=0 S2SL0=2              | TTF=3                  | s2sl0-reserved
  Config=S1 S2TG=64KB S2SL0=3                      |                        | ok

  Config=S2 S2SL0=2 S2T0SZ=24                      | OAS=3                  | s2sl0-unsupported
  Config=S2 S2SL0=2 S2T0SZ=24                      | OAS=4                  | ok
  Config=S2 S2SL0=2 S2T0SZ=24 S2TG=16KB            | OAS=2                  | s2sl0-unsupported
  Config=S2 S2SL0=2 S2T0SZ=24 S2TG=16KB            | OAS=3                  | ok
  Config=S2 S2SL0=2 S2T0SZ=21 S2TG=64KB            | OAS=3                  | s2t0sz-range
  Config=S2 S2SL0=2 S2T0SZ=22 S2TG=64KB            | OAS=3                  | s2sl0-unsupported
  Config=S2 S2SL0=3 S2T0SZ=39                      | STT=0                  | s2sl0-unsupported
  Config=S2 S2SL0=3 S2T0SZ=39                      | STT=1                  | ok
  Config=S1 S2SL0=3                                | STT=0                  | ok

  Config=S2 S2SL0=1 S2T0SZ=21                      |                        | ok
  Config=S2 S2SL0=1 S2T0SZ=20                      |                        | s2sl0-inconsistent
  Config=S2 S2SL0=1 S2T0SZ=33                      |                        | ok
  Config=S2 S2SL0=1 S2T0SZ=34                      |                        | s2sl0-inconsistent
  Config=S2 S2SL0=0 S2T0SZ=29                      |                        | s2sl0-inconsistent
  Config=S2 S2SL0=0 S2T0SZ=30                      |                        | ok
  Config=NESTED S2SL0=2 S2T0SZ=25                  |                        | s2sl0-inconsistent
  Config=S2 S2TG=16KB S2SL0=2 S2T0SZ=16            |                        | ok
  Config=S2 S2TG=16KB S2SL0=1 S2T0SZ=23            |                        | s2sl0-inconsistent
  Config=S2 S2TG=64KB S2SL0=1 S2T0SZ=35            |                        | s2sl0-inconsistent
  Config=S2 S2AA64=0 S2SL0=1 S2T0SZ=1              | TTF=3                  | ok
  Config=S2 S2AA64=0 S2SL0=1 S2T0SZ=2              | TTF=3                  | s2sl0-inconsistent
  Config=S2 S2AA64=0 S2SL0=1 S2T0SZ=8              | TTF=3                  | ok
  Config=S2 S2AA64=0 S2SL0=0 S2T0SZ=14             | TTF=3                  | ok
  Config=S2 S2AA64=0 S2SL0=0 S2T0SZ=13             | TTF=3                  | s2sl0-inconsistent
  Config=S2 S2AA64=0 S2SL0=0 S2T0SZ=7              | TTF=3                  | ok
  Config=S1 S2SL0=2 S2T0SZ=25                      |                        | ok

  Config=S2 S2ENDI=1                               | TTENDIAN=2             | s2endi
  Config=S2 S2ENDI=0                               | TTENDIAN=3             | s2endi
  Config=S2 S2ENDI=1                               | TTENDIAN=3             | ok
  Config=S2 S2ENDI=1                               | TTENDIAN=0             | ok
  Config=S1 S2ENDI=1                               | TTENDIAN=2             | ok

  Config=S2 S2AA64=0 S2T0SZ=0 S2PIE=1              | TTF=3 S2PI=1           | s2pie-lpae
  Config=S2 S2AA64=0 S2T0SZ=0 S2PIE=1              | TTF=3 S2PI=0           | ok
  Config=S2 S2AA64=0 S2T0SZ=0 S2PIE=0              | TTF=3 S2PI=1           | ok
  Config=S2 S2PIE=1                                | S2PI=1                 | ok
  Config=S2 S2POE=1                                | S2PI=1 S2PO=1          | s2poe-direct
  Config=S2 S2POE=1                                | S2PI=1 S2PO=0          | ok
  Config=S2 S2POE=1 S2PIE=1                        | S2PI=1 S2PO=1          | ok
  Config=S1 S2POE=1                                | S2PI=1 S2PO=1          | ok
  Config=S2 S2POE=1 S2PIE=1 S2HWU61=1              | S2PI=1 S2PO=1 PBHA=1   | s2poe-s2hwu
  Config=S2 S2POE=1 S2PIE=1 S2HWU59=1              | S2PI=1 S2PO=1 PBHA=0   | ok
  Config=S2 S2POE=1 S2PIE=1                        | S2PI=1 S2PO=1 PBHA=1   | ok
  Config=S2 S2POE=0 S2PIE=1 S2HWU62=1              | S2PI=1 S2PO=1 PBHA=1   | ok
  Config=S2 S2POE=1 S2PIE=1 S2POI15=1              | S2PI=1 S2PO=1          | s2poi-reserved
  Config=S2 S2POE=1 S2PIE=1 S2POI0=5               | S2PI=1 S2PO=1          | s2poi-reserved
  Config=S2 S2POE=1 S2PIE=1 S2POI0=4 S2POI7=15     | S2PI=1 S2PO=1          | ok
  Config=S2 S2POE=0 S2PIE=1 S2POI0=1               | S2PI=1 S2PO=1          | ok

  Config=S1 S2VMID=256                             | VMID16=0               | s2vmid-16-bit
  Config=S2 S2VMID=256                             | VMID16=0               | s2vmid-16-bit
  Config=NESTED S2VMID=256 STRW=2                  | VMID16=0 Hyp=1         | s2vmid-16-bit
  Config=S1 S2VMID=256 STRW=2                      | VMID16=0 Hyp=0         | s2vmid-16-bit
  Config=S1 S2VMID=255                             | VMID16=0               | ok
  Config=S1 S2VMID=256                             | VMID16=1               | ok
  Config=S1 S2VMID=256                             | VMID16=0 S2P=0         | ok
  Config=S1 S2VMID=256 STRW=2                      | VMID16=0 Hyp=1         | ok
  Config=BYPASS S2VMID=256                         | VMID16=0               | ok

  Config=NESTED S1MPAM=1 VMSPtr=0x1000000000000    | MPAM=1 OAS=5           | vmsptr-too-large
  Config=NESTED S1MPAM=1 VMSPtr=0xfffffffff000     | MPAM=1 OAS=5           | ok
  Config=NESTED S1MPAM=0 VMSPtr=0x1000000000000    | MPAM=1 OAS=5           | ok
  Config=S1 S1MPAM=1 VMSPtr=0x1000000000000        | MPAM=1 OAS=5           | ok
  Config=NESTED S1MPAM=1 VMSPtr=0x1000000000000    | MPAM=0 OAS=5           | ok

  Config=NESTED S1DSS=3 PRIVCFG=1 INSTCFG=1 SHCFG=2 NSCFG=1 S2SH0=1 DPT_VMATCH=3 |  | ok
  Config=NESTED S2NSW=1 S2NSA=1 S_S2T0SZ=63 S_S2TG=3 S2SW=1 MPAM_NS=1 TL0=1 CONT=15 | | ok
`);

describe('an STE', () => {
  it.each(rows)('$fields with $features is $verdict', ({ fields, features: changes, verdict }) => {
    const values = decode(STE, words(fields));
    const answer = on(machine({}, { idr: features(changes) }))
      .given(bringUp(), storeWords(at.strtab + SID * 64, words(fields)))
      .when(dma(0x1000));
    if (values.V && steConfig(values) !== 'ABORT')
      expect(brokenSteRule(values, new Features(features(changes)))?.name ?? 'ok').toBe(verdict);
    if (verdict !== 'ok') {
      answer.then(
        { type: 'config.filled', cache: 'ste' },
        { type: 'record.raised', record: 'C_BAD_STE' },
        { type: 'access.terminated', result: 'abort', reason: `C_BAD_STE: ${verdict}` },
      );
      return;
    }
    expect(answer.of('record.raised').filter(({ record }) => record === 'C_BAD_STE')).toEqual([]);
    if (steConfig(values) === 'ABORT') {
      answer
        .then({ type: 'access.terminated', result: 'abort', reason: 'STE.Config=0b0xx' })
        .thenNo('record.raised');
    }
  });

  it('has a row for every rule', () => {
    expect(
      steRules.map(({ name }) => name).filter((name) => !rows.some((row) => row.verdict === name)),
    ).toEqual([]);
  });
});

describe('what an STE does not use', () => {
  const fieldNames = Object.keys(STE.fields);
  const stage1Fields = fieldNames.filter((name) => /^S1/.test(name));
  const stage2Fields = fieldNames.filter((name) => /^S2/.test(name) && name !== 'S2VMID');

  /** Legal whatever they hold: nothing in 5.2.2 asks for them. */
  const unasked = [
    ...['S1DSS', 'S1CIR', 'S1COR', 'S1CSH', 'DRE', 'CONT', 'DCP', 'PPAR', 'MEV', 'SW_RESERVED', 'S1PIE'],
    ...['MemAttr', 'MTCFG', 'ALLOCCFG', 'SHCFG', 'NSCFG', 'PRIVCFG', 'INSTCFG'],
    ...['IMPDEF0', 'IMPDEF1', 'IMPDEF2', 'S2IR0', 'S2OR0', 'S2SH0', 'S2AFFD', 'S2PTW', 'S2R', 'DPT_VMATCH'],
    ...['S2NSW', 'S2NSA', 'S2SKL', 'PARTID', 'PMG', 'MPAM_NS', 'AssuredOnly', 'TL0', 'TL1', 'MECID'],
    ...fieldNames.filter((name) => /^(S_|S2S[WA]$)/.test(name)),
  ];

  /** Where a feature or another field makes a field IGNORED or RES0. */
  const conditional: readonly (readonly [names: readonly string[], when: string, ste: string])[] = [
    [['EATS'], 'ATS=0', ''],
    [['STRW'], 'Hyp=0', ''],
    [['S1CDMax', 'S1Fmt'], 'SSIDSIZE=0', ''],
    [['S1Fmt'], '', 'S1CDMax=0'],
    [['S2SL0_2', 'S2DS'], 'DS=0', ''],
    [['S2SL0_2'], '', 'S2DS=0'],
    [['S2SL0_2', 'S2DS'], '', 'S2TG=64KB'],
    [['S2TG', 'S2PS', 'S2DS', 'S2SL0_2'], '', 'S2AA64=0'],
    [['S2HAFT'], 'HTTU=2', ''],
    [['S2PIE'], 'S2PI=0 S2PO=0', ''],
    [['S2POE'], 'S2PO=0', ''],
    [fieldNames.filter((name) => /^(S2POI|S2HWU)/.test(name)), '', 'S2POE=0'],
    [['S2FWB'], 'FWB=0', ''],
    [['VMSPtr', 'S1MPAM'], 'MPAM=0', ''],
    [['VMSPtr'], '', 'S1MPAM=0'],
    [['S2VMID'], 'VMID16=1', ''],
  ];

  /** Identification registers of any machine with VMSAv8-64 tables. */
  const anyFeatures = fc
    .tuple(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), fc.nat(6))
    .map(([IDR0, IDR1, IDR3, IDR5, oas]) =>
      withFields({ IDR0, IDR1, IDR3, IDR5 }, `S1P=1 S2P=1 TTF=${2 + (IDR0 & 1)} D128=0 OAS=${oas}`),
    );
  const anyWords = fc.uint32Array({ minLength: 16, maxLength: 16 });
  /** Random words hardly ever are a legal STE, so half of them start from one. */
  const anySte = fc.tuple(fc.boolean(), anyWords, fc.constantFrom(4, 5, 6, 7)).map(([legal, raw, config]) => {
    const base = legal ? words('') : raw;
    return put(STE.fields, base.slice(), `V=1 Config=${config}`);
  });

  const verdict = (each: Uint32Array, values: Readonly<Record<string, number>>): string =>
    brokenSteRule(decode(STE, each), new Features(values))?.name ?? 'ok';

  it('is IGNORED: stage 1 fields without stage 1, stage 2 fields but S2VMID without stage 2 (5.2)', () => {
    const property = fc.property(anySte, anyWords, anyFeatures, (each, noise, values) => {
      const config = decode(STE, each).Config;
      const ignored = [
        ...unasked,
        ...(config === 'BYPASS' || config === 'S2' ? stage1Fields : []),
        ...(config === 'BYPASS' || config === 'S1' ? stage2Fields : []),
        ...(config === 'BYPASS' ? ['EATS', 'STRW', 'S2VMID'] : []),
        ...(config === 'S1' ? [] : ['STRW']),
        ...(config === 'NESTED' ? [] : ['VMSPtr']),
      ];
      expect(verdict(graft(STE.fields, ignored, each, noise), values)).toBe(verdict(each, values));
    });
    fc.assert(property, { numRuns: 2000 });
  });

  it.each(conditional)('is IGNORED: %s where %s %s', (names, when, fields) => {
    const property = fc.property(anySte, anyWords, anyFeatures, (each, noise, values) => {
      const machineValues = withFields(values, when);
      const base = put(STE.fields, each.slice(), fields);
      const scrambled = graft(STE.fields, names, base, noise);
      expect(verdict(scrambled, machineValues)).toBe(verdict(base, machineValues));
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('leaves a stream that bypasses or aborts legal, whatever else its STE holds', () => {
    const property = fc.property(anyWords, anyFeatures, (raw, values) => {
      expect(verdict(put(STE.fields, raw.slice(), 'V=1 Config=BYPASS'), values)).toBe('ok');
    });
    fc.assert(property, { numRuns: 1000 });
  });
});

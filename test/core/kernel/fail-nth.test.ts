/**
 * Wants to show: whatever allocation of a call fails, the call says ENOMEM and nothing of it stays: objects,
 * references, domains, pages, files, and no page that a device could not reach before; and the same call succeeds
 * afterwards. How: each call that succeeds is tried with its first allocation failing, then with its second, until
 * none is left to fail.
 */
import { describe, expect, it } from 'vitest';
import { heldByKernel } from '../../support/held.ts';
import { ask, endAll, prepared, stories } from '../../support/ioctl-stories.ts';
import { freePages, reachText } from '../../support/reach.ts';

describe('an allocation that fails', () => {
  it.each(stories)('in $name leaves nothing behind', (story) => {
    let failures = 0;
    for (let nth = 1; nth < 100; nth += 1) {
      const made = prepared(story);
      made.line({ op: 'set', path: 'kernel.failNth', value: nth });
      const before = [heldByKernel(made.state), reachText(made.state)];
      const errno = ask(made, story);
      const left = made.state.kernel!.failNth;
      made.line({ op: 'set', path: 'kernel.failNth', value: 0 });
      if (left > 0) {
        expect(errno).toBe('ok');
        break;
      }
      failures += 1;
      expect(errno, `allocation ${nth}`).toBe('ENOMEM');
      expect(heldByKernel(made.state), `allocation ${nth}`).toBe(before[0]);
      expect(reachText(made.state), `allocation ${nth}`).toBe(before[1]);
      expect(ask(made, story), `after allocation ${nth}`).toBe('ok');
    }
    expect(failures > 0).toBe(story.allocatesNothing !== true);
  });

  it('in none of them keeps a context from its end, nor a page', () => {
    for (const story of stories.filter(({ allocatesNothing }) => allocatesNothing !== true)) {
      const clean = prepared(story);
      endAll(clean);
      for (let nth = 1; nth < 100; nth += 1) {
        const failed = prepared(story);
        failed.line({ op: 'set', path: 'kernel.failNth', value: nth });
        const errno = ask(failed, story);
        failed.line({ op: 'set', path: 'kernel.failNth', value: 0 });
        if (errno === 'ok') break;
        endAll(failed);
        expect(failed.state.kernel!.contexts, story.name).toEqual({});
        const tables = Object.values(failed.state.drivers).flatMap(({ masters }) =>
          Object.values(masters).map(({ cdTable }) => cdTable?.bytes ?? 0),
        );
        const before = Object.values(clean.state.drivers).flatMap(({ masters }) =>
          Object.values(masters).map(({ cdTable }) => cdTable?.bytes ?? 0),
        );
        const kept = pagesOf(tables) - pagesOf(before);
        expect(freePages(failed.state), `${story.name}, allocation ${nth}`).toBe(
          freePages(clean.state) - kept,
        );
      }
    }
  });
});

/** Pages that tables of so many bytes take. */
function pagesOf(bytes: readonly number[]): number {
  return bytes.reduce((sum, each) => sum + Math.ceil(each / 0x1000), 0);
}

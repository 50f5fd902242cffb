// What the benchmark `fate` says of messages stands and falls with its judge.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { judge } from '../../bench/harness/judge.ts'
import { type Noted, openLedger, readLedger } from '../../bench/harness/ledger.ts'

const notes = (note: Noted['note'], ...numbers: number[]): Noted[] =>
  numbers.map((n) => ({ note, n, at: 100 * n }))
const sent = (...numbers: number[]) => [...notes('sending', ...numbers), ...notes('taken', ...numbers)]

describe('the judge of fates', () => {
  it.each<[string, Noted[], number[], object]>([
    ['all well', sent(1, 2, 3), [1, 2, 3], { taken: 3, lost: 0, doubled: 0, reordered: 0, told: 0 }],
    ['lost', sent(1, 2, 3), [1, 3], { lost: 1, lostAt: [200], reordered: 0 }],
    ['doubled, and no reordering for that', sent(1, 2), [1, 2, 1, 1], { lost: 0, doubled: 2, reordered: 0 }],
    ['reordered', sent(1, 2, 3, 4), [2, 1, 4, 3], { lost: 0, doubled: 0, reordered: 2 }],
    ['told', [...sent(1, 2), ...notes('told', 2)], [1], { lost: 0, told: 1 }],
    ['never taken', [...sent(1), ...notes('sending', 2)], [1], { taken: 1, lost: 0 }],
  ])('%s', (_name, sender, handled, expected) => {
    expect(judge(sender, handled)).toMatchObject(expected)
  })

  it('reads what was noted before a death, but for the line that the death cut short', () => {
    const folder = mkdtempSync(join(tmpdir(), 'guru-judge-'))
    const file = join(folder, 'ledger')
    const note = openLedger(file)
    note('sending', 1)
    note('handled', 7)
    writeFileSync(file, 'taken 1', { flag: 'a' })
    expect(readLedger(file)).toMatchObject([
      { note: 'sending', n: 1 },
      { note: 'handled', n: 7 },
    ])
    rmSync(folder, { recursive: true })
  })
})

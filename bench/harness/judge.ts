// What became of counters that one app sent another.

import type { Noted } from './ledger.ts'

export interface Fate {
  /** Handed over, and taken by the library. */
  taken: number
  /** Of those, how many never arrived while nobody said so. */
  lost: number
  /** Deliveries beyond the first. */
  doubled: number
  /** First deliveries behind a later one's. */
  reordered: number
  /** Messages that the sender was told about: refused, dropped, in doubt. */
  told: number
  /** When the lost ones were sent, in milliseconds since the epoch. */
  lostAt: number[]
}

/** @param handled what arrived, in order */
export function judge(sender: readonly Noted[], handled: readonly number[]): Fate {
  const sentAt = new Map<number, number>()
  const taken = new Set<number>()
  const told = new Set<number>()
  for (const { note, n, at } of sender) {
    if (note === 'sending') sentAt.set(n, at)
    else if (note === 'taken') taken.add(n)
    else if (note === 'told') told.add(n)
  }
  const seen = new Set<number>()
  let doubled = 0
  let reordered = 0
  let highest = 0
  for (const n of handled) {
    if (seen.has(n)) {
      doubled += 1
      continue
    }
    seen.add(n)
    if (n < highest) reordered += 1
    else highest = n
  }
  const lost = [...taken].filter((n) => !seen.has(n) && !told.has(n))
  return {
    taken: taken.size,
    lost: lost.length,
    doubled,
    reordered,
    told: told.size,
    lostAt: lost.map((n) => sentAt.get(n) ?? Number.NaN),
  }
}

// What lies in a store outlives the process: its times are those of the wall clock there, and of the steady clock here.

import type { Clock } from '../core/clock.ts'
import { type Entry, NEVER } from './entry.ts'
import type { SessionWrite } from './store.ts'

/** Writes as a store is given them. */
export function onWallClock(writes: readonly SessionWrite[], clock: Clock): readonly SessionWrite[] {
  // Almost no message has a time to live.
  if (!writes.some((write) => 'entry' in write && write.entry.expiresAt !== NEVER)) return writes
  const offset = clock.wallNow() - clock.now()
  return writes.map((write) => ('entry' in write ? { ...write, entry: shifted(write.entry, offset) } : write))
}

/** What a store gives back. */
export function onSteadyClock<T extends { readonly waiting: readonly Entry[] }>(record: T, clock: Clock): T {
  const offset = clock.now() - clock.wallNow()
  return { ...record, waiting: record.waiting.map((entry) => shifted(entry, offset)) }
}

function shifted(entry: Entry, offset: number): Entry {
  return entry.expiresAt === NEVER ? entry : { ...entry, expiresAt: Math.max(0, entry.expiresAt + offset) }
}

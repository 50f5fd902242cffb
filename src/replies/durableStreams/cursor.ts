// The cursor of live answers: it changes with time, so that a cache between us and many readers
// never gives one of them the same empty answer for ever. Source: Durable Streams 1.0, section
// 10.1.

import type { Random } from '../../core/random.ts'

const INTERVAL_MS = 20_000
const EPOCH_MS = Date.UTC(2024, 9, 9)
const MAX_JITTER_MS = 3_600_000

/** @param echoed what the reader sent back of its latest answer */
export function nextCursor(echoed: string | null, wallNow: number, random: Random): string {
  const current = Math.floor((wallNow - EPOCH_MS) / INTERVAL_MS)
  const before = echoed !== null && /^\d{1,15}$/.test(echoed) ? Number(echoed) : -1
  if (before < current) return String(current)
  return String(before + 1 + Math.floor((random() * MAX_JITTER_MS) / INTERVAL_MS))
}

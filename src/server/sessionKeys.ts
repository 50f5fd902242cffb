// The names and secrets of sessions.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** A name of 128 random bits and a secret of 256, in base64url. */
export function makeNames(): { sid: string; key: string } {
  return { sid: randomBytes(16).toString('base64url'), key: randomBytes(32).toString('base64url') }
}

/** What is kept of a key: who reads the store cannot resume a session. The key is random: it needs no salt. */
export function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url')
}

/** Whether two digests are the same, in a time that does not tell where they differ. */
export function sameDigest(one: string, other: string): boolean {
  const bytes = Buffer.from(one)
  const others = Buffer.from(other)
  return bytes.length === others.length && timingSafeEqual(bytes, others)
}

// What clients answer, in the words of RedisReply.

import type { RedisArgument, RedisReply } from '../RedisEngine.ts'

/** Numbers stay, `null` stays, lists are gone through, every kind of text becomes bytes. */
export function toReply(value: unknown): RedisReply {
  if (value === null || value === undefined) return null
  if (typeof value === 'number' || value instanceof Uint8Array) return value
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value === 'string') return Buffer.from(value)
  if (Array.isArray(value)) return value.map(toReply)
  if (value instanceof Error) throw value
  throw new TypeError(
    `the client's answer must be a number, text, bytes or a list of those, got ${typeof value}`,
  )
}

/** Clients take Node's own kind of bytes. */
export function toArgument(argument: RedisArgument): string | Buffer {
  if (typeof argument === 'string' || Buffer.isBuffer(argument)) return argument
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength)
}

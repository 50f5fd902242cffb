// How sessions and their messages are written down in the engine, and read back.

import { parseJson } from '../core/parseJson.ts'
import type { Entry } from '../session/entry.ts'
import { type Payload, TEXT } from '../session/frames.ts'
import type { InboxMessage, PostedMessage } from '../session/sharedSessions.ts'
import type { SessionHead, SessionRecord, SessionWrite, StoredSession } from '../session/store.ts'
import { StorageError } from '../storage/StorageError.ts'
import type { RedisArgument, RedisReply } from './RedisEngine.ts'

const encoder = new TextEncoder()
// A mark at the beginning of a message is a part of it.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const LINE = 0x0a
const LIST = 0x2a
const TEXT_OR_NUMBER = 0x24

export const textOf = (reply: RedisReply | undefined): string =>
  reply instanceof Uint8Array ? decoder.decode(reply) : String(reply ?? '')

const numberOf = (reply: RedisReply | undefined): number => Number(textOf(reply))

/** A line of text that tells about the payload, and the payload as it is. */
function joined(line: string, payload: Payload): Uint8Array {
  if (typeof payload === 'string') return encoder.encode(`${line}\n${payload}`)
  const head = encoder.encode(`${line}\n`)
  const all = new Uint8Array(head.length + payload.length)
  all.set(head)
  all.set(payload, head.length)
  return all
}

function split(blob: Uint8Array): { fields: string[]; body: Uint8Array } {
  const end = blob.indexOf(LINE)
  return { fields: decoder.decode(blob.subarray(0, end)).split(' '), body: blob.subarray(end + 1) }
}

/** Bytes are copied: those of a reply may lie in a buffer that is used again. */
export const payloadOf = (stream: number, body: Uint8Array): Payload =>
  stream === TEXT ? decoder.decode(body) : new Uint8Array(body)

function encodeEntry({ seq, stream, payload, priority, expiresAt }: Entry): Uint8Array {
  return joined(`${seq} ${stream} ${priority} ${expiresAt}`, payload)
}

function decodeEntry(blob: Uint8Array): Entry {
  const { fields, body } = split(blob)
  const [seq = 0, stream = 0, priority = 0, expiresAt = 0] = fields.map(Number)
  return { seq, stream, payload: payloadOf(stream, body), bytes: body.length, priority, expiresAt }
}

export function encodePost(
  { stream, payload, priority, expiresAt }: PostedMessage,
  from: string,
): Uint8Array {
  return joined(`${stream} ${priority} ${expiresAt} ${from}`, payload)
}

/** An entry of the inbox, as `XRANGE` gives it. */
export function decodePost(reply: RedisReply): InboxMessage {
  const [id, pairs] = reply as readonly [RedisReply, readonly RedisReply[]]
  const { fields, body } = split(pairs[1] as Uint8Array)
  const [stream = 0, priority = 0, expiresAt = 0] = fields.map(Number)
  return {
    id: textOf(id),
    from: fields[3] ?? '',
    stream,
    payload: payloadOf(stream, body),
    priority,
    expiresAt,
  }
}

/** What a batch asks of the script, and whether it makes the session larger. */
export function encodeWrites(writes: readonly SessionWrite[]): {
  args: RedisArgument[]
  grows: boolean
  begins: SessionHead | undefined
  ends: boolean
} {
  const args: RedisArgument[] = []
  let grows = false
  let begins: SessionHead | undefined
  let ends = false
  for (const write of writes) {
    switch (write.kind) {
      case 'begin': {
        begins = write.session
        const { key, principal, ttl, limits } = write.session
        args.push('B', JSON.stringify({ key, principal, ttl, limits }))
        grows = true
        break
      }
      case 'accept':
        args.push('A', `${write.entry.seq}`, encodeEntry(write.entry))
        grows = true
        break
      case 'drop':
        args.push('D', `${write.seq}`)
        break
      case 'number':
        args.push('N', `${write.number}`, `${write.entry.seq}`, encodeEntry(write.entry))
        grows = true
        break
      case 'void':
        args.push('V', `${write.number}`)
        break
      case 'prune':
        args.push('P', `${write.acked}`)
        break
      case 'rx':
        args.push('R', `${write.rx}`)
        break
      case 'epoch':
        args.push('E', `${write.epoch}`)
        break
      case 'took':
        args.push('T', write.id)
        break
      case 'end':
        ends = true
        args.push('X')
    }
  }
  return { args, grows, begins, ends }
}

/** What `claim` gives of a session. */
export interface Claimed {
  readonly fence: number
  readonly stored: StoredSession
  /** How many messages other processes have posted. */
  readonly posted: number
  /** Milliseconds that the engine keeps it without a word. */
  readonly keepMs: number
}

/** @throws StorageError `corrupt` when messages are missing */
export function decodeClaim(sid: string, reply: readonly RedisReply[]): Claimed {
  const [fence, head, epoch, rx, acked, last, voids, numbered, waiting, posted, keep, suspect] = reply
  const from = numberOf(acked)
  const empty = new Set(textOf(voids).split(' '))
  const messages = (numbered as readonly RedisReply[]).map((one, index) => {
    const [id, pairs] = one as readonly [RedisReply, readonly RedisReply[]]
    const number = from + 1 + index
    if (textOf(id) !== `${number}-0`) throw damaged(sid)
    const entry = decodeEntry(pairs[1] as Uint8Array)
    return empty.has(`${number}`) ? { ...entry, seq: 0, stream: TEXT, payload: '', bytes: 0 } : entry
  })
  if (from + messages.length < numberOf(last)) throw damaged(sid)
  const pairs = waiting as readonly Uint8Array[]
  const entries = pairs.filter((_, index) => index % 2 === 1).map(decodeEntry)
  const session: SessionRecord = {
    sid,
    ...(parseJson(textOf(head)) as Omit<SessionHead, 'sid'>),
    epoch: numberOf(epoch),
    rx: numberOf(rx),
    done: [],
    acked: from,
    messages,
    ...(textOf(suspect) !== '' && { suspect: numberOf(suspect) }),
  }
  // In the order they were accepted.
  entries.sort((one, other) => one.seq - other.seq)
  return {
    fence: numberOf(fence),
    stored: { session, waiting: entries },
    posted: numberOf(posted),
    keepMs: numberOf(keep),
  }
}

/**
 * What a script has packed: a list as `*<how many>` and its items, a text or a number as `$<bytes>` and those bytes, a line end after
 * each length. @returns `undefined` for what is no such list
 */
export function unpack(bytes: Uint8Array): readonly RedisReply[] | undefined {
  let at = 0
  const item = (): RedisReply => {
    const kind = bytes[at]
    const end = bytes.indexOf(LINE, at)
    const length = end < 0 ? Number.NaN : Number(decoder.decode(bytes.subarray(at + 1, end)))
    at = end + 1
    if (kind === LIST && length <= bytes.length - at) return Array.from({ length }, item)
    if (kind !== TEXT_OR_NUMBER || !(length <= bytes.length - at))
      throw new RangeError('not packed by a script')
    at += length
    return bytes.subarray(at - length, at)
  }
  try {
    const reply = item()
    return Array.isArray(reply) && at === bytes.length ? reply : undefined
  } catch {
    return undefined
  }
}

function damaged(sid: string): StorageError {
  return new StorageError(
    `the engine has lost messages of session ${sid}: it is ended. Does it evict keys (maxmemory-policy must be noeviction), or was it restored from an older copy?`,
    { reason: 'corrupt' },
  )
}

/** What the processes tell each other: a line of JSON, then a payload where there is one. */
export function encodeNote(note: object, payload: Payload = ''): Uint8Array {
  return joined(JSON.stringify(note), payload)
}

/** @returns `undefined` for what is no note */
export function decodeNote<Note>(bytes: Uint8Array): { note: Note; body: Uint8Array } | undefined {
  const end = bytes.indexOf(LINE)
  try {
    return { note: parseJson(decoder.decode(bytes.subarray(0, end))) as Note, body: bytes.subarray(end + 1) }
  } catch {
    return undefined
  }
}

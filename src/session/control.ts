// The control messages of guru.v1: what each must hold. Unknown members and unknown messages are left alone, so that
// later versions can add some; a member of the wrong type is an error.

import { parseJson } from '../core/parseJson.ts'
import { MAX_NUMBER } from './limits.ts'

/** A client begins a session. */
export interface Open {
  readonly t: 'open'
  /** Milliseconds it would like to be able to stay away. */
  readonly ttl?: number
  readonly auth?: string
}

/** A client goes on with a session. */
export interface Resume {
  readonly t: 'resume'
  readonly sid: string
  readonly key: string
  readonly epoch: number
  readonly rx: number
  /** It has never sent a message with a higher number. */
  readonly tx?: number
  readonly auth?: string
}

/** A server's answer to both. */
export interface Opened {
  readonly t: 'opened'
  /** With `open` only. */
  readonly sid?: string
  readonly key?: string
  readonly rx: number
  /** As in `resume`, and with it only. */
  readonly tx?: number
  /** Milliseconds that the session outlives its connection. */
  readonly ttl: number
  readonly maxMessages: number
  readonly maxBytes: number
  readonly maxFrame: number
  /** Milliseconds between pings that the server wishes; 0 for no wish. */
  readonly ping: number
}

export type Control =
  | Open
  | Resume
  | Opened
  | { readonly t: 'ack'; readonly rx: number }
  | { readonly t: 'ping'; readonly at: number }
  | { readonly t: 'pong'; readonly at: number }
  | { readonly t: 'flush'; readonly stream: number }
  | { readonly t: 'flushed'; readonly stream: number }
  | { readonly t: 'goaway'; readonly after: number; readonly why: string }
  | { readonly t: 'close' }
  | { readonly t: 'unknown' }

type Check = (value: unknown) => boolean

const text: Check = (value) => typeof value === 'string'
const finite: Check = (value) => Number.isFinite(value)
const amount: Check = (value) => typeof value === 'number' && value >= 0 && Number.isFinite(value)
const whole =
  (min: number, max: number): Check =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
const count = whole(0, MAX_NUMBER)
const size = whole(1, Number.MAX_SAFE_INTEGER)
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value)

/** What every control message has to hold; a `Map`, because the names come from the network. */
const members: ReadonlyMap<string, Readonly<Record<string, Check>>> = new Map<string, Record<string, Check>>([
  ['open', { ttl: optional(amount), auth: optional(text) }],
  [
    'resume',
    {
      sid: text,
      key: text,
      epoch: whole(1, Number.MAX_SAFE_INTEGER),
      rx: count,
      tx: optional(count),
      auth: optional(text),
    },
  ],
  [
    'opened',
    {
      sid: optional(text),
      key: optional(text),
      rx: count,
      tx: optional(count),
      ttl: amount,
      maxMessages: size,
      maxBytes: size,
      maxFrame: size,
      ping: amount,
    },
  ],
  ['ack', { rx: count }],
  ['ping', { at: finite }],
  ['pong', { at: finite }],
  ['flush', { stream: whole(0, 255) }],
  ['flushed', { stream: whole(0, 255) }],
  ['goaway', { after: amount, why: text }],
  ['close', {}],
])

/** Far above what a version to come may add, far below what a message may have. */
const CONTROL_JSON = { maxLength: 64 * 1024, maxValues: 1000 }

const ACK = /^\{"t":"ack","rx":(0|[1-9]\d{0,9})\}$/

/** The control message of a text that begins with a brace; a string says what is wrong with it. */
export function parseControl(frame: string): Control | string {
  // By far the commonest one, in the form that this implementation writes it.
  const ack = ACK.exec(frame)
  if (ack && Number(ack[1]) <= MAX_NUMBER) return { t: 'ack', rx: Number(ack[1]) }
  let value: unknown
  try {
    value = parseJson(frame, CONTROL_JSON)
  } catch {
    return 'a control message that is no JSON'
  }
  const { t } = value as { t?: unknown }
  if (typeof t !== 'string') return 'a control message without "t"'
  const checks = members.get(t)
  if (!checks) return { t: 'unknown' }
  for (const [name, check] of Object.entries(checks)) {
    const member = Object.hasOwn(value as object, name) ? (value as Record<string, unknown>)[name] : undefined
    if (!check(member)) return `a control message "${t}" with a wrong "${name}"`
  }
  return value as Control
}

export function encodeControl(control: Control): string {
  return JSON.stringify(control)
}

export function encodeAck(rx: number): string {
  return `{"t":"ack","rx":${rx}}`
}

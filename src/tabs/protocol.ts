// What tabs tell each other. Every tab numbers its messages 1, 2, 3 ... as it offers them to a leader, who takes them in
// that order, once each. Frames travel in envelopes that carry the version of this protocol: tabs of a site may run
// different releases, and what another version means by a frame is not for this one to guess.

import type { DropReason, SendOptions } from '../connection/messageLayer.ts'
import type { ErrorCode } from '../core/errors.ts'

/** Of the frames below and of what leaders record. Part of every tab's name, so that it can be seen in its lock. */
export const VERSION = 1

/** Which message of which tab. */
export interface Origin {
  readonly tab: string
  readonly n: number
}

/** Why the leader did not take a message. */
export interface Refusal {
  readonly code: ErrorCode
  readonly message: string
}

/** Messages `n` to `to` (`n` alone without it) were refused. */
export interface RefusedRange {
  readonly n: number
  readonly to?: number
  readonly why: Refusal
}

/** What a leader remembers of a tab, recorded together with the tab's messages. */
export interface Mark {
  /** All messages of the tab up to here have been taken, or refused. */
  readonly n: number
  /** Those that were refused, in order, as far as the tab may not have heard of it. */
  readonly refused: readonly RefusedRange[]
  /** When it was recorded, in milliseconds since the epoch. */
  readonly at?: number
}

/** How a message is sent; volatile ones do not go through other tabs. */
export type TabSendOptions = Pick<SendOptions, 'priority' | 'ttl' | 'stream'>

/**
 * To whoever leads. `term` names the leadership that it is for: another leader must not take what a channel delivers
 * late, since what it knows of the sender may have been forgotten with the sender.
 */
export type ToLeader =
  /** A tab has come, or come back. */
  | { readonly t: 'hello'; readonly tab: string }
  /** Is anybody there? */
  | { readonly t: 'ask'; readonly tab: string }
  /** `base`: the tab has heard of all its messages below. */
  | {
      readonly t: 'send'
      readonly term: string
      readonly tab: string
      readonly n: number
      readonly base: number
      readonly data: string | ArrayBuffer
      readonly options: TabSendOptions | undefined
    }
  /** Which of these, recorded by an older leader, will still be told about? */
  | { readonly t: 'open'; readonly term: string; readonly tab: string; readonly ns: readonly number[] }
  /** The tab has closed its connection for good. */
  | { readonly t: 'bye'; readonly tab: string }

/** To one tab. */
export type ToTab =
  /** There is a leader that does not have the tab's messages yet. */
  | { readonly t: 'lead'; readonly to: string; readonly term: string }
  | { readonly t: 'stored'; readonly to: string; readonly n: number }
  | { readonly t: 'refused'; readonly to: string; readonly n: number; readonly why: Refusal }
  | { readonly t: 'delivered'; readonly to: string; readonly n: number }
  | { readonly t: 'dropped'; readonly to: string; readonly n: number; readonly reason: DropReason }
  | { readonly t: 'doubt'; readonly to: string; readonly n: number; readonly message: string }

/** To all tabs. */
export type ToAll =
  | { readonly t: 'led'; readonly term: string }
  | { readonly t: 'message'; readonly message: unknown }
  | { readonly t: 'status'; readonly stats: unknown }
  /** The leader is there: the answer to `ask`. */
  | { readonly t: 'here' }
  /** The outbox is about to be wiped: everybody closes. */
  | { readonly t: 'wipe' }

export type Frame = ToLeader | ToTab | ToAll

/** What travels: frames of one turn, in order. */
export interface Envelope {
  readonly v: typeof VERSION
  readonly from: string
  /** Whether its sender leads: each of a leader's is a sign of life. */
  readonly leads: boolean
  readonly frames: readonly Frame[]
}

type Test = (value: unknown) => boolean
const text: Test = (value) => typeof value === 'string'
const number: Test = (value) => Number.isSafeInteger(value) && (value as number) > 0
const any: Test = () => true
const object: Test = (value) => typeof value === 'object' && value !== null

const SHAPES: { readonly [T in Frame['t']]: Readonly<Record<string, Test>> } = {
  hello: { tab: text },
  ask: { tab: text },
  send: {
    term: text,
    tab: text,
    n: number,
    base: number,
    data: (value) => typeof value === 'string' || value instanceof ArrayBuffer,
    options: (value) => value === undefined || object(value),
  },
  open: { term: text, tab: text, ns: (value) => Array.isArray(value) && value.every(number) },
  bye: { tab: text },
  lead: { to: text, term: text },
  stored: { to: text, n: number },
  refused: {
    to: text,
    n: number,
    why: (value) => object(value) && text((value as Refusal).code) && text((value as Refusal).message),
  },
  delivered: { to: text, n: number },
  dropped: { to: text, n: number, reason: text },
  doubt: { to: text, n: number, message: text },
  led: { term: text },
  message: { message: any },
  status: { stats: any },
  here: {},
  wipe: {},
}

function isFrame(value: unknown): value is Frame {
  if (!object(value)) return false
  const frame = value as Record<string, unknown>
  if (!text(frame.t) || !Object.hasOwn(SHAPES, frame.t as string)) return false
  return Object.entries(SHAPES[frame.t as Frame['t']]).every(([field, test]) => test(frame[field]))
}

/** The envelope that came, or what is wrong with it. */
export function readEnvelope(data: unknown): Envelope | string {
  const { v, from, leads, frames } = (object(data) ? data : {}) as Record<string, unknown>
  if (v !== VERSION) return `another tab speaks version ${typeof v === 'number' ? v : '0'} of what tabs say`
  if (!text(from) || typeof leads !== 'boolean' || !Array.isArray(frames) || !frames.every(isFrame))
    return 'another tab says what has not the shape of this version'
  return data as Envelope
}

/** Of a tab of this version. */
export function tabName(id: string): string {
  return `v${VERSION}-${id}`
}

/** Whether a tab's name says that it runs this version. */
export function isOfThisVersion(tab: string): boolean {
  return tab.startsWith(`v${VERSION}-`)
}

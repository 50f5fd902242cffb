// The events of a connection, one line each.

import type { Payload } from './encoding.ts'
import type { ConnectionState } from './machine.ts'
import type { DroppedMessage } from './messageLayer.ts'
import type { CloseInfo } from './reconnect.ts'
import type { Status } from './status.ts'

/** Ours have a `code`; what a handler or a listener threw may have none. */
export type ReportedError = Error & { readonly code?: string }

export interface ConnectionEvents<In = unknown> {
  /** The line is open and what was queued has been sent. */
  open: []
  /** The same, by its original name. */
  connected: []
  /** An attempt or an open line ended; exactly once for each of them. */
  close: [close: CloseInfo]
  /** An open line ended. */
  disconnected: [close: CloseInfo]
  /** A message: parsed JSON, text that is not JSON, or an ArrayBuffer. Also emitted under its `type`, if it has one. */
  message: [message: In]
  statusChange: [status: Status, before: Status]
  connectionState: [state: ConnectionState, before: ConnectionState]
  /** The next attempt is due in `delay` milliseconds, or earlier. */
  reconnecting: [next: { attempt: number; delay: number }]
  /** All attempts have been used: nothing more happens until `connect()`. */
  max_reconnect_attempts: [used: { attempts: number }]
  /** Something failed. Nobody has to listen. */
  error: [error: ReportedError]
  /** A message will not arrive. */
  dropped: [message: DroppedMessage]
  /** The other side has handled a message (sessions only). */
  delivered: [message: { id: string }]
  /** The session is gone: these messages may or may not have been handled (sessions only). */
  sessionLost: [lost: LostSession]
  /** The other side drops what it had buffered of a stream: so should the app (sessions only). */
  flush: [flushed: { stream: number }]
  /** Nothing waits behind the window any more (sessions only). */
  drain: []
}

/** The types that messages may have. A message whose type is an event of ours is heard as `message` alone. */
type TypeOf<In> = In extends { readonly type: infer Name extends string }
  ? Exclude<Name, keyof ConnectionEvents>
  : never

/** Whether the messages and their types are known, and not just that there are some. */
type IsKnown<In> = unknown extends In ? false : string extends TypeOf<In> ? false : true

/** Messages under their own `type`. */
export type MessagesByType<In> =
  IsKnown<In> extends true
    ? { [Name in TypeOf<In>]: [message: Extract<In, { readonly type: Name }>] }
    : Record<never, never>

/** Names of events beside all these: any, where messages are not known. */
export type OtherEvents<In> = IsKnown<In> extends true ? never : string

/** What `request()` takes: a message, to which it gives an `id` if it has none. */
export type Question<Out> = unknown extends Out
  ? object
  : Out extends { readonly id?: unknown }
    ? Omit<Out, 'id'> & Partial<Pick<Out, 'id'>>
    : Out & object

/** What is known of a session that is gone. */
export interface LostSession {
  /** `gone`: the server said so; `memory`: one side lost memory; `protocol`; `stopped`: this client stops for good; `storage`. */
  readonly reason: 'gone' | 'memory' | 'protocol' | 'stopped' | 'storage' | 'usedUp'
  /** In order, the oldest first; `id` is that of the receipt. */
  readonly inDoubt: readonly { readonly id: string; readonly data: Payload }[]
  /** They go first in the next session (`onSessionLost: 'resend'`). */
  readonly resent: boolean
}

/** Names that a message's `type` may not take. */
export const OWN_EVENTS: ReadonlySet<string> = new Set<keyof ConnectionEvents<unknown>>([
  'open',
  'connected',
  'close',
  'disconnected',
  'message',
  'statusChange',
  'connectionState',
  'reconnecting',
  'max_reconnect_attempts',
  'error',
  'dropped',
  'delivered',
  'sessionLost',
  'flush',
  'drain',
])

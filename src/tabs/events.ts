// The events of a shared connection, one line each.

import { OWN_EVENTS, type ReportedError } from '../connection/events.ts'
import type { DropReason } from '../connection/messageLayer.ts'

export interface SharedEvents {
  /** A message of the server, in every tab; also under its `type`, if it has one. */
  message: [message: unknown]
  /** This tab leads from now on. */
  leading: []
  /** What `getStats` says has changed. */
  status: [stats: unknown]
  /** The server has handled a message of this tab. */
  delivered: [message: { id: string }]
  /** A message of this tab will not arrive. */
  dropped: [message: { id: string; reason: DropReason }]
  /** It will never be known whether these messages were handled: those of this tab. */
  inDoubt: [message: { id: string; reason: string }]
  error: [error: ReportedError]
}

const SHARED_EVENTS: ReadonlySet<string> = new Set<keyof SharedEvents>([
  'message',
  'leading',
  'status',
  'delivered',
  'dropped',
  'inDoubt',
  'error',
])

/** The name under which a message is emitted besides: its `type`, unless that is one of our own events. */
export function typeOf(message: unknown): string | undefined {
  const type = (message as { type?: unknown } | null)?.type
  if (typeof type !== 'string' || OWN_EVENTS.has(type) || SHARED_EVENTS.has(type)) return undefined
  return type
}

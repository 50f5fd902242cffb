// Time stands still at 0 and its passing is an event: the alarms of a state are read from it, and each rings alone, in any
// order with everything else. Where the moments alone would ring an earlier one too, that is put off for the step.

import type { InboxState } from '../../src/session/inbox.ts'

/** `ACK_DELAY_MS` after 0. */
export const ACK_AT = 200
/** What a `goaway` says. */
export const LEAVE_AT = 300
/** When messages that do not wait for ever are dropped. */
export const TTL_AT = 400
/** When a side that has heard nothing asks for a sign of life. */
export const PING_AT = 500
/** How long it waits for one. */
export const PONG_WITHIN = 50
/** How long a handler may take, where that is limited. */
export const GIVE_UP_AT = 600
/** How long a session outlives its connection. */
export const EXPIRES_AT = 1000

/** An alarm for an ack rings at the one moment there is for it, whichever step set it. */
export function dueAt(inbox: InboxState): void {
  if (inbox.ackAt !== -1) inbox.ackAt = ACK_AT
}

/** Another alarm rings; the one for an ack is put off. */
export function withoutAck(inbox: InboxState, ring: () => void): void {
  const { ackAt } = inbox
  inbox.ackAt = -1
  ring()
  if (inbox.ackAt === -1 && inbox.rx !== inbox.acked) inbox.ackAt = ackAt
}

// What stands between the app's messages and the frames of a line: the seam where a session takes the place
// of the plain layer. A layer owns no socket and no timer; it writes through its host while the line is open.

import type { Payload } from './encoding.ts'
import type { Receipt } from './receipt.ts'

/** Why a message will not arrive. */
export type DropReason =
  /** The queue was full. */
  | 'overflow'
  /** It waited longer than `maxQueueAge`. */
  | 'expired'
  /** The server ended the connection over it (1007, 1009): it was set aside. */
  | 'refused'
  /** The connection was closed or disposed of while it waited. */
  | 'closed'

/** The event `dropped`. */
export interface DroppedMessage {
  /** The id of its receipt. */
  readonly id: string
  readonly reason: DropReason
  /** The message as it would have travelled: text, or bytes. */
  readonly data: Payload
}

/** What a layer may ask of the connection. */
export interface LayerHost {
  /** Puts a frame on the wire. Returns false, having done nothing, when the socket takes none any more. */
  write(payload: Payload): boolean
  /** A message will not arrive. The listeners hear of it later, never within the call. */
  dropped(seq: number, payload: Payload, reason: DropReason): void
  error(error: Error): void
}

export interface MessageLayer {
  /** Messages and payload bytes that wait. */
  readonly queuedMessages: number
  readonly queuedBytes: number
  /** When `expire` is due; `Infinity` for never. */
  readonly expiresAt: number
  /**
   * Takes a message: onto the wire when the line is open and nothing waits before it, else into the queue.
   * @returns its number
   * @throws CommsError `QUEUE_FULL`
   */
  send(payload: Payload, now: number): number
  /** The receipt of the message that `send` gave this number. */
  receipt(seq: number): Receipt
  /** Whether a message still waits. */
  queued(seq: number): boolean
  /** Takes a message out of the queue, if it is still there. */
  withdraw(seq: number): boolean
  /** The line is open: what waits goes out, in order, before anything new. */
  opened(now: number): void
  /** The line has been open for a while: what was sent on it is no suspect any more. */
  stable(): void
  /** The line ended. */
  ended(code: number): void
  /** Drops what has waited too long. */
  expire(now: number): void
  /** Nothing will be sent any more: drops and reports what waits. */
  discard(): void
}

// What stands between the app's messages and the frames of a line: the seam where a session takes the place
// of the plain layer. A layer owns no socket and no timer; it writes through its host.

import type { CloseDecision } from '../session/closeDecision.ts'
import type { Frame, Payload } from './encoding.ts'
import type { FailedUpgrade } from './subprotocolOffer.ts'

/** Why a message will not arrive. */
export type DropReason =
  /** The queue was full. */
  | 'overflow'
  /** It waited longer than `maxQueueAge`, or its own `ttl`. */
  | 'expired'
  /** The server ended the connection over it (1007, 1009, 4413): it was set aside. */
  | 'refused'
  /** The server takes no message of its size (sessions only). */
  | 'tooLarge'
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

/** How one message is sent. */
export interface SendOptions {
  /** Now or never: not queued, not numbered, not sent again. @default false */
  readonly volatile?: boolean | undefined
  /** A whole number; higher ones go first, among those that wait. Sessions only. @default 0 */
  readonly priority?: number | undefined
  /** Milliseconds after which it is dropped if it still waits. Sessions only. @default Infinity */
  readonly ttl?: number | undefined
  /** 0 to 255: the stream of a binary message. Sessions only. @default 0 */
  readonly stream?: number | undefined
}

/** What a handler learns about a message of a session. */
export interface MessageContext {
  /** `sid/number`: the same over redelivery. */
  readonly id: string
  /** A handler may have begun with it in a process that died. */
  readonly redelivered: boolean
  /**
   * Runs `run` in one transaction of the connection's storage with the fact that the message is handled: then it is handled exactly
   * once. `run` gets what the store works on, has to do its work before it returns, and is undone when it throws.
   * @throws CommsError `UNSUPPORTED` without a storage that can do it
   */
  record<R, Database = unknown>(run: (database: Database) => R): R | Promise<R>
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
  /** When `wake` is due; `Infinity` for never. */
  readonly wakeAt: number
  /** Whether what was sent survives the end of the line. */
  readonly lossless: boolean
  /**
   * Takes a message: onto the wire when the line is open and nothing waits before it, else into the queue.
   * @returns its number
   * @throws CommsError `QUEUE_FULL`
   */
  send(payload: Payload, now: number, options: SendOptions | undefined): number
  /** Sends a message now or never; false for never. */
  sendVolatile(payload: Payload, stream: number): boolean
  /** Settles once the message that `send` gave this number is accepted. */
  stored(seq: number): Promise<void>
  /** Settles once the other side has handled it. */
  delivered(seq: number): Promise<void>
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
  /** Time has passed. */
  wake(now: number): void
  /** The app has closed the connection: drops and reports what waits. `disposed`: not even `connect()` goes on. */
  discard(disposed: boolean): void
}

/** What only a session's layer does. */
export interface SessionMessageLayer extends MessageLayer {
  /** What to offer at the next attempt; `undefined` for a plain line. */
  offer(url: string): string | undefined
  /** The line, or an attempt at one (see `upgrade`), has ended by itself. Returns what is to follow; `undefined`: the rules of plain lines. */
  lineEnded(code: number, upgrade: FailedUpgrade): CloseDecision | undefined
  /** A socket is open. False: `opened` follows when the session has begun. */
  onOpen(protocol: string, auth: string | undefined): boolean
  /** Takes a frame; false when the current line is plain. */
  frame(data: Frame): boolean
  /** Takes the text frame `number:text`, `number` being a message's; false when the current line is plain. */
  numbered(number: number, text: string): boolean
  /** The text of a ping; `undefined` when the current line is plain. */
  readonly ping: string | undefined
  /** Ends the session in its own way; false when there is nothing to wait for. */
  beginClose(disposed: boolean): boolean
  /** Has a stream of volatile messages dropped, at the other side and on the way. */
  interrupt(stream: number): boolean
  /** What a handler learns about the message that is being received. */
  context(number: number, redelivered: boolean): MessageContext
  readonly unacknowledgedMessages: number
}

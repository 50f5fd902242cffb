// What a peer is told, what it remembers, and what it has done by others: the interfaces around `peer.ts`.

import type { DropReason, Entry } from './entry.ts'
import type { Frame, Payload } from './frames.ts'
import type { HeartbeatState } from './heartbeat.ts'
import { type InboxState, newInbox } from './inbox.ts'
import type { WaitingLimits, WindowLimits } from './limits.ts'
import { newOutbox, type OutboxState } from './outbox.ts'
import type { Write } from './store.ts'
import { newWaiting, type WaitingState } from './waiting.ts'

/** What a peer has done by whoever owns it. */
export interface PeerHost {
  /** Puts a frame on the current connection. */
  send(frame: Frame): void
  /**
   * Puts `encodeAck` of this there, before the turn is over: it makes up for those before it. Absent: it is sent at once.
   */
  acknowledge?(rx: number): void
  /** Puts the frame of a reliable text there, where that is cheaper than `send` of `encodeReliable`. */
  transmit?(number: number, text: string): void
  /** Starts the handler of a message. When it has settled, `settled` is to be called with the same `sid` and number. */
  deliver(sid: string, number: number, stream: number, payload: Payload, redelivered: boolean): void
  /** Hands over a volatile message. */
  volatile(stream: number, payload: Payload): void
  /** Drops what is buffered of a stream: the other side was interrupted. */
  flush(stream: number): void
  /** Message `seq` is recorded. Only with `durable`. */
  accepted(seq: number): void
  /** The other side's handler of message `seq` has settled. */
  delivered(seq: number): void
  /** A message that had no number will not be sent. */
  dropped(entry: Entry, reason: DropReason): void
  /** A handler was given up after `handlerTimeout`. */
  handlerTimedOut(number: number): void
  /** Nothing waits behind the window any more. */
  ready(): void
  /** Records a fact; `stored` is to be called with it, in order, when it would survive. Only with `durable`. */
  store(write: Write): void
  /** A ping was answered; `at` is what it carried. */
  pong(at: number): void
}

export interface PeerOptions extends WaitingLimits {
  /** Whether facts are recorded before they are told. */
  readonly durable: boolean
  /** Milliseconds a handler may take. `Infinity` for no limit. */
  readonly handlerTimeout: number
  /** Milliseconds of silence that make a ping due; 0 when somebody else sees to it. */
  readonly pingInterval: number
  /** Milliseconds of silence after a ping that mean a dead connection. */
  readonly pongTimeout: number
}

/** Plain data, so that a state can be compared and copied. */
export interface PeerState {
  /** Names the session; empty while there is none. */
  sid: string
  limits: WindowLimits
  /**
   * `down`: no connection that can take a message; `catchingUp`: messages that have a number may go out, none gets
   * one; `up`: all may.
   */
  link: 'down' | 'catchingUp' | 'up'
  inbox: InboxState
  outbox: OutboxState
  waiting: WaitingState
  /** The `seq` of the latest message. */
  seq: number
  /** `null`: no connection, no heartbeat. */
  heartbeat: HeartbeatState | null
  /** Streams whose volatile messages are ignored until so many `flushed` have come. */
  flushing: { stream: number; awaited: number }[]
}

export function newPeer(limits: WindowLimits): PeerState {
  return {
    sid: '',
    limits,
    link: 'down',
    inbox: newInbox(),
    outbox: newOutbox(),
    waiting: newWaiting(),
    seq: 0,
    heartbeat: null,
    flushing: [],
  }
}

// What a peer remembers, and the options it follows.

import { type BacklogState, newBacklog } from './backlog.ts'
import type { HeartbeatState } from './heartbeat.ts'
import { type InboxState, newInbox } from './inbox.ts'
import type { Interrupts } from './interrupts.ts'
import type { BacklogLimits, WindowLimits } from './limits.ts'
import { newOutbox, type OutboxState } from './outbox.ts'

export interface PeerOptions extends BacklogLimits {
  /** Whether facts are recorded before others hear of them. */
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
  backlog: BacklogState
  /** The `seq` of the latest message. */
  seq: number
  /** `null`: no connection, no heartbeat. */
  heartbeat: HeartbeatState | null
  /** Streams whose volatile messages are ignored for now. */
  interrupts: Interrupts
}

export function newPeer(limits: WindowLimits): PeerState {
  return {
    sid: '',
    limits,
    link: 'down',
    inbox: newInbox(),
    outbox: newOutbox(),
    backlog: newBacklog(),
    seq: 0,
    heartbeat: null,
    interrupts: [],
  }
}

// What one exploration lets happen, and how much of it.

import type { LossReason } from '../../src/session/effects.ts'

/** How often each may happen on one path; what is not named may not. */
export interface Budget {
  /** Messages that the first client, the second one, and the server send. */
  readonly sends: number
  readonly sends2: number
  readonly pushes: number
  /** One end of a connection notices that it broke, unprovoked. */
  readonly cuts: number
  /** Deaths of the client, of a server, of either. Each starts again with what its store has recorded. */
  readonly clientDeaths: number
  readonly serverDeaths: number
  readonly deaths: number
  /** A session that its client could still resume expires. */
  readonly expiries: number
  /** The server's app ends a session. */
  readonly ends: number
  readonly goAways: number
  /** The app closes the client, or disposes of it. */
  readonly closes: number
  readonly disposals: number
  /** A client that has stopped goes on: its app connects again, or another process takes up what it has left. */
  readonly returns: number
  /** The app takes back what has no number. */
  readonly cancels: number
  /** Messages that have waited too long are dropped. */
  readonly ttls: number
  /** Handlers that run are given up. */
  readonly giveUps: number
  /** Somebody who knows the name of a session, but not its key, tries to resume it. */
  readonly strangers: number
  /** A connection that has said nothing in time is closed. */
  readonly lateFirsts: number
  /** A second process begins with a copy of the first one's outbox. */
  readonly copies: number
  /** A side has heard nothing for long, and asks for a sign of life; that none comes is a cut. */
  readonly pings: number
  /** The client's store can no longer be written, and is thrown away. */
  readonly storeFailures: number
  /** The client's token is refused. */
  readonly refusals: number
  /** A node stands still, or is cut off, until its lease has run out; then it goes on, and finds out. */
  readonly lapses: number
}

export interface Scenario {
  readonly name: string
  /** What it is to show, in one line. */
  readonly about: string
  readonly budget: Partial<Budget>
  /** Whether the sides record what they know. */
  readonly clientDurable: boolean
  readonly serverDurable: boolean
  readonly onSessionLost: 'report' | 'resend'
  readonly clients: 1 | 2
  /** Server processes that share one store. */
  readonly nodes: 1 | 2
  /** Whether their store knows whose a session is: who has found it last; and refuses the writes of all others, or should and does not. */
  readonly fence: 'none' | 'kept' | 'broken'
  readonly maxMessages: number
  readonly maxQueueMessages: number
  readonly overflow: 'drop-oldest' | 'drop-newest' | 'reject'
  /** A server that starts again takes up no session before it is asked for it. */
  readonly lookUp: boolean
  /** The token travels in the first frame and is checked there. */
  readonly asks: boolean
  /** Messages to the server, by their place, that no connection carries: it ends with 1009 instead. */
  readonly tooLarge: readonly number[]
  /** The same for messages to the client. */
  readonly tooLargeDown: readonly number[]
  /** Messages whose handler throws. */
  readonly throwing: readonly string[]
  /** The client's messages, by their place, that do not wait for ever. */
  readonly expiring: readonly number[]
  /** Why a session may be lost, and a client may stop. */
  readonly mayLose: readonly LossReason[]
  readonly mayStop: readonly string[]
  /** Connection attempts without a new fault after which a client is reconnecting endlessly. */
  readonly attempts: number
}

const defaults: Omit<Scenario, 'name' | 'about' | 'budget'> = {
  clientDurable: false,
  serverDurable: false,
  onSessionLost: 'report',
  clients: 1,
  nodes: 1,
  fence: 'none',
  maxMessages: 8,
  maxQueueMessages: 8,
  overflow: 'drop-oldest',
  lookUp: false,
  asks: false,
  tooLarge: [],
  tooLargeDown: [],
  throwing: [],
  expiring: [],
  mayLose: [],
  mayStop: [],
  attempts: 4,
}

export function scenario(given: Pick<Scenario, 'name' | 'about' | 'budget'> & Partial<Scenario>): Scenario {
  return { ...defaults, ...given }
}

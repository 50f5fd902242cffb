// What a store records for one side of a session, and how it is asked to. The machines emit `Write`s in order; whoever
// carries them out does so in that order, may gather several into one transaction, and reports each as stored once it
// would survive the death of the process. How and where is the store's affair.

import type { Entry } from './entry.ts'
import type { WindowLimits } from './limits.ts'
import type { SharedSessions } from './sharedSessions.ts'

/** A fact to record. All but `accept` and `drop` belong to the session `sid`. */
export type Write =
  /** A message was accepted; it has no number yet. */
  | { readonly kind: 'accept'; readonly entry: Entry }
  /** A message that has no number is gone: cancelled, expired, pushed out. */
  | { readonly kind: 'drop'; readonly seq: number }
  /** A message got its number, whether it was recorded before or not. */
  | { readonly kind: 'number'; readonly sid: string; readonly number: number; readonly entry: Entry }
  /** A numbered message was emptied because nobody takes its size. */
  | { readonly kind: 'void'; readonly sid: string; readonly number: number }
  /** All up to `acked` have arrived: they may be forgotten, but not that they had been given. */
  | { readonly kind: 'prune'; readonly sid: string; readonly acked: number }
  /** All handlers of received messages up to `rx` have settled. */
  | { readonly kind: 'rx'; readonly sid: string; readonly rx: number }
  /** A session begins: replaces what an older one left, but for messages without a number. */
  | { readonly kind: 'begin'; readonly session: SessionHead }
  /** A resume with this epoch is under way. Refused when an equal or higher one is recorded, or the session is not. */
  | { readonly kind: 'epoch'; readonly sid: string; readonly epoch: number }
  /** The session is over: `requeue` takes the numbers from its messages, else they go with it. */
  | { readonly kind: 'end'; readonly sid: string; readonly requeue: boolean }

/** What a server's store records besides, where it is shared. */
export type SessionWrite =
  | Write
  /** A message that another process had posted is taken over: in one batch with what was made of it. */
  | { readonly kind: 'took'; readonly sid: string; readonly id: string }

/** A session as it is when it begins. */
export interface SessionHead {
  readonly sid: string
  /** The client's copy holds the key, the server's a digest of it. */
  readonly key: string
  /** Whose it is; empty for nobody in particular, and on the client. */
  readonly principal: string
  /** Milliseconds it outlives its connection. */
  readonly ttl: number
  readonly limits: WindowLimits
}

/** A session as a store gives it back. */
export interface SessionRecord extends SessionHead {
  readonly epoch: number
  /** Handlers of received messages up to here have settled. */
  readonly rx: number
  /** Numbers above `rx` whose handlers recorded themselves in a transaction of their own. */
  readonly done: readonly number[]
  /** The other side has acknowledged up to here. */
  readonly acked: number
  /** From `acked + 1` on, without a gap. A void has an empty text. */
  readonly messages: readonly Entry[]
  /**
   * Handlers of messages up to here may have begun in another process. Only when that one has let go of it in order; else all that the
   * window allowed may have.
   */
  readonly suspect?: number
}

/** A session, and the messages that wait behind its window. */
export interface StoredSession {
  readonly session: SessionRecord
  /** Messages that have no number, in the order they were accepted. */
  readonly waiting: readonly Entry[]
}

/** All that a client finds when it starts. */
export interface OutboxRecord {
  readonly session: SessionRecord | undefined
  /** Messages that have no number, in the order they were accepted. */
  readonly waiting: readonly Entry[]
}

/**
 * Where a handler records what it does, together with the fact that it has done it: then a message is handled exactly
 * once, whatever dies. `run` is given what the store works on (a `DatabaseSync` for `node:sqlite`), has to do all its
 * work before it returns, and is undone when it throws.
 */
export type Transact = <T>(sid: string, number: number, run: (database: unknown) => T) => T | Promise<T>

/** A client's durable outbox. One owner at a time: whoever loads it holds a lock until `close`. */
export interface OutboxStore {
  /**
   * Takes the lock and reads what is there.
   * @throws or rejects with CommsError `STORAGE` when it cannot: locked by another, corrupt, no room
   */
  load(): OutboxRecord | Promise<OutboxRecord>
  /**
   * Records all of them or none, in order. `expiresAt` of entries is on the wall clock here: the shell converts.
   * @throws or rejects with CommsError `STORAGE` when it cannot
   */
  write(writes: readonly Write[]): void | Promise<void>
  /** Only where handlers can join in. */
  readonly transact?: Transact
  /** Throws away all that is there: what it holds has become wrong. Gives the lock back. Never rejects. */
  destroy(): void | Promise<void>
  /** Gives the lock back. Never rejects. */
  close(): void | Promise<void>
}

/** What became of a server's writes. `stale`: another process owns the session by now, or it is gone. */
export type WriteResult = 'stored' | 'stale'

/** A server's sessions. Several processes may share one: each write carries the epoch its process holds. */
export interface SessionStore {
  /**
   * The session, or `undefined`; after all writes of it that this process has asked for before. With several processes: only
   * after the older owner has let go of it, and from then on its owner is who has found it, until that lets go.
   */
  find(sid: string): StoredSession | undefined | Promise<StoredSession | undefined>
  /**
   * Records all writes of one session or none, in order. Refused as `stale` when the store's epoch is above `epoch`, or
   * the session is unknown (but for a `begin`). An `epoch` write among them is refused unless it is above the store's.
   * @throws or rejects with CommsError `STORAGE` when it cannot
   */
  write(sid: string, epoch: number, writes: readonly SessionWrite[]): WriteResult | Promise<WriteResult>
  /**
   * All sessions, so that a server that starts again can take them up and let them expire. With several processes: those that no
   * other owns.
   */
  list(): Iterable<StoredSession> | AsyncIterable<StoredSession>
  /** Only where handlers can join in. */
  readonly transact?: Transact
  /** Only where several processes work on it at the same time. */
  readonly shared?: SharedSessions
  /**
   * Whether it can serve clients now: false while what it stands on does not answer, so that a health check sends them elsewhere.
   * Only where that may be.
   */
  isReady?(): boolean
  /** Lets go of it. Never rejects. */
  close(): void | Promise<void>
}

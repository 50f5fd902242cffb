// What a store of sessions adds that several server processes work on at the same time: who owns a session, how it moves, and
// how messages come to it from a process that does not own it.

import type { Payload } from './frames.ts'
import type { StoredSession } from './store.ts'

/** A message for a session, from a process that does not own it. */
export interface PostedMessage {
  readonly stream: number
  readonly payload: Payload
  readonly priority: number
  /** When it is dropped if it has no number by then, on the wall clock; `NEVER` for never. */
  readonly expiresAt: number
  /** What its sender knows it by; unique within the sender's store. */
  readonly token: string
}

/** Such a message as the session's owner finds it. */
export interface InboxMessage extends Omit<PostedMessage, 'token'> {
  /** Unique and ascending within the session. */
  readonly id: string
  /** Who wants to hear what became of it: for `tellFate`. */
  readonly from: string
}

/** What became of a posted message. `unknown`: nobody can say; it may arrive or not. */
export type PostFate = 'delivered' | 'dropped' | 'unknown'

/** What came of `post`. */
export type PostResult = 'posted' | 'noSession' | 'full'

/** Who is told what became of messages that this process has posted. */
export interface FateListener {
  fate(token: string, fate: PostFate): void
  /** Word of some may have been missed. */
  missed(): void
}

/** What a client shows that comes for its session. */
export interface Credentials {
  /** The digest of the key. */
  readonly key: string
  readonly principal: string
  readonly epoch: number
}

/** What came of `take`. */
export type TakeResult = StoredSession | undefined | 'superseded' | 'unsure'

/** The server that owns what a shared store finds and begins. */
export interface SessionOwner {
  /**
   * Another process wants the session. Its connection has to end, its handlers get a while to settle, what is to be recorded
   * is recorded; resolves when nothing more of it will be written here, to the `suspect` of the next owner: `undefined` when not all
   * have settled. Never rejects.
   */
  letGo(sid: string): Promise<number | undefined>
  /** The lease has run out: nothing is ours any more. All sessions are to be dropped at once, without a word to the store. */
  lapsed(): void
  /** A session whose owner has died is ours now. */
  adopt(stored: StoredSession): void
  /** Messages were posted for a session of ours, the oldest first. */
  posted(sid: string, messages: readonly InboxMessage[]): void
  /** A volatile message for a session, if it is here and connected; without a `sid`, for all. */
  whispered(sid: string | undefined, stream: number, payload: Payload): void
  /** Something failed that no call reports. */
  report(error: unknown): void
}

/** The part of a `SessionStore` that several server processes share at the same time. */
export interface SharedSessions {
  /** Says who owns what this store finds and begins from now on. At most one owner to a store. */
  join(owner: SessionOwner): void
  /**
   * Whether what this process owns is still its own, by its own clock: asked before anything is sent, handed over or told.
   * Once it is not, `lapsed` follows after the current step.
   */
  holds(): boolean
  /**
   * As `find`, for a client: nobody is made to give up a session for one that may not have it, or for a ghost of its client. The epoch is
   * recorded with it.
   * @returns `undefined` also when it may not have it; `superseded` when a newer epoch has it; `unsure` when this epoch has it: the
   * client has to come once more
   * @throws or rejects with CommsError `STORAGE`
   */
  take(sid: string, shown: Credentials): Promise<TakeResult>
  /** Whether a session that was found or begun here is still ours, as far as this process has been told. */
  owns(sid: string): boolean
  /** Gives up all sessions: this process ends, or owns nothing any more. */
  leave(): Promise<void>
  /** The session can take messages now: those that were posted meanwhile come to `posted`, and later ones as they come. */
  collect(sid: string): void
  /**
   * Leaves a message for a session, whoever owns it, or nobody.
   * @throws or rejects with CommsError `STORAGE`: it has not been recorded, and will not be; `UNKNOWN`: nobody can say
   */
  post(sid: string, message: PostedMessage): Promise<PostResult>
  /** Says what became of a message, to who posted it. Best effort. */
  tellFate(from: string, fate: PostFate): void
  /** Tells `listener` of fates until the function that it returns is called. */
  hearFates(listener: FateListener): () => void
  /** Sends a volatile message to whoever has the session connected, or all sessions. Best effort. */
  whisper(sid: string | undefined, stream: number, payload: Payload): Promise<void>
  /** The names of all sessions there are, of whatever process; some of sessions that have ended meanwhile. */
  sids(): AsyncIterable<string>
}

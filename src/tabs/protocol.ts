// What tabs tell each other. Every tab numbers its messages 1, 2, 3 ...; the leader takes them in that order, once each.

import type { DropReason, SendOptions } from '../connection/messageLayer.ts'
import type { ErrorCode } from '../core/errors.ts'

/** Which message of which tab. */
export interface Origin {
  readonly tab: string
  readonly n: number
}

/** Why the leader did not take a message. */
export interface Refusal {
  readonly code: ErrorCode
  readonly message: string
}

/** What a leader remembers of a tab, recorded together with the tab's messages. */
export interface Mark {
  /** All messages of the tab up to here have been taken, or refused. */
  readonly n: number
  /** Those that were refused, as far as the tab may not have heard of it. */
  readonly refused: readonly { readonly n: number; readonly why: Refusal }[]
}

/** How a message is sent; volatile ones do not go through other tabs. */
export type TabSendOptions = Pick<SendOptions, 'priority' | 'ttl' | 'stream'>

/**
 * To whoever leads. `term` names the leader that it is for (a tab leads at most once): another one must not take what a
 * channel delivers late, since what it knows of the sender may have been forgotten with the sender.
 */
export type ToLeader =
  /** A tab has come. */
  | { readonly t: 'hello'; readonly tab: string }
  /** `base`: the tab has heard of all its messages below. */
  | {
      readonly t: 'send'
      readonly term: string
      readonly tab: string
      readonly n: number
      readonly base: number
      readonly data: string | ArrayBuffer
      readonly options: TabSendOptions | undefined
    }
  /** Which of these, recorded by an older leader, will still be told about? */
  | { readonly t: 'open'; readonly term: string; readonly tab: string; readonly ns: readonly number[] }

/** To one tab. */
export type ToTab =
  /** There is a leader that does not have the tab's messages yet. */
  | { readonly t: 'lead'; readonly to: string; readonly term: string }
  | { readonly t: 'stored'; readonly to: string; readonly n: number }
  | { readonly t: 'refused'; readonly to: string; readonly n: number; readonly why: Refusal }
  | { readonly t: 'delivered'; readonly to: string; readonly n: number }
  | { readonly t: 'dropped'; readonly to: string; readonly n: number; readonly reason: DropReason }
  | { readonly t: 'doubt'; readonly to: string; readonly n: number; readonly message: string }

/** To all tabs. */
export type ToAll =
  | { readonly t: 'led'; readonly term: string }
  | { readonly t: 'message'; readonly message: unknown }
  | { readonly t: 'status'; readonly stats: unknown }

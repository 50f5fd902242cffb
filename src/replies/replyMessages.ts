// What a reply's log holds: JSON messages, each a piece of text, a part of the app's own kind, or
// how the reply stands.

import type { ReplyState } from './log.ts'

/** Why a reply failed. */
export interface ReplyFailure {
  readonly code: string
  readonly message: string
}

/** A message as it stands in the log. */
export type ReplyMessage =
  | { readonly text: string }
  | { readonly part: unknown }
  /** `reset`: it begins anew, what was before is void. */
  | { readonly state: ReplyState; readonly reset?: true; readonly error?: ReplyFailure }

/** What a reader of a reply gets. `offset`: where to go on from, after it. */
export type ReplyEvent =
  /** Text to be added; pieces that were there already come as one. */
  | { readonly type: 'text'; readonly text: string; readonly offset: string }
  /** A part of the app's own kind. */
  | { readonly type: 'part'; readonly part: unknown; readonly offset: string }
  /** Another producer has taken over: it begins anew, the text so far is void. */
  | { readonly type: 'reset'; readonly offset: string }
  /**
   * How it ended; nothing follows. But for `interrupted`: its producer has died, and either
   * another takes over (`reset`) or the reply is forgotten in the end.
   */
  | {
      readonly type: 'state'
      readonly state: Exclude<ReplyState, 'running'>
      readonly error?: ReplyFailure
      readonly offset: string
    }

const encoder = new TextEncoder()

/** A message as content to append. */
export function contentOf(message: ReplyMessage): { units: number; data: Uint8Array } {
  return { units: 1, data: encoder.encode(JSON.stringify(message)) }
}

/** One message of a log; `undefined` for what others may have written into it. */
export function readMessage(text: string): ReplyMessage | undefined {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) return undefined
  const { text: words, state } = value as { text?: unknown; state?: unknown }
  const known = typeof words === 'string' || 'part' in value || isState(state)
  return known ? (value as ReplyMessage) : undefined
}

const STATES: readonly unknown[] = ['running', 'complete', 'failed', 'stopped', 'interrupted']

function isState(value: unknown): value is ReplyState {
  return STATES.includes(value)
}

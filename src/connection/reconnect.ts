// Whether to try again after a line has ended, and after how long. Who starts the attempt is decided in machine.ts.

import type { Random } from '../core/random.ts'
import type { CloseDecision } from '../session/closeDecision.ts'

/** How a line ended, in the terms of RFC 6455 section 7.1.5; 1006 stands for "without a close frame". */
export interface CloseInfo {
  readonly code: number
  readonly reason: string
  /** Whether both sides had said goodbye. */
  readonly wasClean: boolean
}

/** The options that it follows. */
export interface ReconnectOptions {
  readonly reconnectDelay: number
  readonly maxReconnectAttempts: number
  /** 0 to 1: how much of the delay chance may take away. */
  readonly jitter: number
  readonly shouldReconnect: ((close: CloseInfo) => boolean) | undefined
}

/** No delay is longer. */
export const MAX_RECONNECT_DELAY_MS = 30_000

export type ReconnectDecision =
  | { readonly action: 'wait'; readonly delayMs: number }
  /** The server or the app wanted the end. */
  | { readonly action: 'stop' }
  /** It makes no sense to try again: the session says why. */
  | { readonly action: 'fail' }
  /** All attempts have been used. */
  | { readonly action: 'giveUp' }

/** What a reconnection depends on beside the options and chance. */
export interface ReconnectState {
  readonly now: number
  /** How many automatic attempts have been made since the last stable line. */
  readonly attempts: number
  /** What the session has decided; without it the rules of plain lines hold. */
  readonly decision?: CloseDecision | undefined
}

export function reconnectDecision(
  close: CloseInfo,
  { now, attempts, decision }: ReconnectState,
  options: ReconnectOptions,
  random: Random,
): ReconnectDecision {
  switch (decision?.action) {
    case 'now':
      return { action: 'wait', delayMs: Math.max(0, decision.notBefore - now) }
    case 'longest':
      return { action: 'wait', delayMs: MAX_RECONNECT_DELAY_MS * (1 - options.jitter * random()) }
    case 'stop':
      return { action: decision.reason === 'closed' ? 'stop' : 'fail' }
  }
  if (close.code === 1000) {
    // With a decision it is a close of our own, made in order to come back.
    if (!decision) return { action: 'stop' }
  } else if (options.shouldReconnect && !options.shouldReconnect(close)) return { action: 'stop' }
  if (attempts >= options.maxReconnectAttempts) return { action: 'giveUp' }
  const longest = Math.min(MAX_RECONNECT_DELAY_MS, options.reconnectDelay * 2 ** attempts)
  return {
    action: 'wait',
    delayMs: Math.max((decision?.notBefore ?? 0) - now, longest * (1 - options.jitter * random())),
  }
}

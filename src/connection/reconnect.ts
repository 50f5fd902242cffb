// Whether to try again after a line has ended, and after how long. Who starts the attempt is decided in machine.ts.

import type { Random } from '../core/random.ts'

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
  /** What a session makes of it; `undefined` leaves it to the rest. */
  readonly verdict?: ((close: CloseInfo) => ReconnectDecision | Backoff | undefined) | undefined
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

/** The rest decides, but for what has to be waited at least. */
export interface Backoff {
  readonly action: 'backoff'
  readonly atLeastMs: number
}

/**
 * @param attempts how many automatic attempts have been made since the last stable line
 */
export function reconnectDecision(
  close: CloseInfo,
  attempts: number,
  options: ReconnectOptions,
  random: Random,
): ReconnectDecision {
  const verdict = options.verdict?.(close)
  if (verdict && verdict.action !== 'backoff') return verdict
  if (close.code === 1000) {
    // With a verdict it is a goodbye of our own, said in order to come back.
    if (!verdict) return { action: 'stop' }
  } else if (options.shouldReconnect && !options.shouldReconnect(close)) return { action: 'stop' }
  if (attempts >= options.maxReconnectAttempts) return { action: 'giveUp' }
  const longest = Math.min(MAX_RECONNECT_DELAY_MS, options.reconnectDelay * 2 ** attempts)
  return {
    action: 'wait',
    delayMs: Math.max(verdict?.atLeastMs ?? 0, longest * (1 - options.jitter * random())),
  }
}

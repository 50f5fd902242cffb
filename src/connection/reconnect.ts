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

/** What lines that work, and are cut again and again, can raise the delay to. */
export const MAX_FLAPPING_DELAY_MS = 5000

/** So many lines that died young, one after the other, double the delay. */
const DEATHS_PER_DOUBLING = 4

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
  /** Automatic attempts in this series; a line that worked ends it. */
  readonly attempts: number
  /** Lines in a row that worked, and ended before `stableAfter`. */
  readonly youngDeaths: number
  /** What the session has decided; without it the rules of plain lines hold. */
  readonly decision?: CloseDecision | undefined
}

/** What follows the end of a line that the app did not ask for. */
export function reconnectDecision(
  close: CloseInfo,
  state: ReconnectState,
  options: ReconnectOptions,
  random: Random,
): ReconnectDecision {
  const { now, decision } = state
  const goodbye = close.code === 1000
  switch (decision?.action) {
    case 'now':
      return { action: 'wait', delayMs: Math.max(0, decision.notBefore - now) }
    case 'longest':
      return { action: 'wait', delayMs: MAX_RECONNECT_DELAY_MS * (1 - options.jitter * random()) }
    case 'stop':
      if (decision.reason !== 'closed') return { action: 'fail' }
      break
  }
  // Where it is to come back, 1000 is a close of our own, made in order to do so.
  if (!(goodbye && decision?.action === 'backoff')) {
    const again = options.shouldReconnect ? options.shouldReconnect(close) : !goodbye
    if (!again) return { action: 'stop' }
  }
  if (state.attempts >= options.maxReconnectAttempts) return { action: 'giveUp' }
  const longest = longestDelay(options.reconnectDelay, state)
  const notBefore = decision?.action === 'backoff' ? decision.notBefore : 0
  return {
    action: 'wait',
    delayMs: Math.max(notBefore - now, longest * (1 - options.jitter * random())),
  }
}

/**
 * The delay that chance shortens. Failed attempts double it. Lines that work and are cut young (a train, a proxy with
 * a short limit) are no failures: in a row they only raise a floor, so that a server which greets everybody and then
 * falls over is not asked as often as `reconnectDelay` allows.
 */
function longestDelay(reconnectDelay: number, { attempts, youngDeaths }: ReconnectState): number {
  const floor = Math.min(MAX_FLAPPING_DELAY_MS, reconnectDelay * 2 ** (youngDeaths / DEATHS_PER_DOUBLING))
  return Math.min(MAX_RECONNECT_DELAY_MS, Math.max(floor, reconnectDelay * 2 ** attempts))
}

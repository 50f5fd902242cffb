// What an answer is made of inside the backend: its pieces, and why one ends before its responder
// had.

import { fieldOf } from './guard.ts'
import type { ReplyFault } from './responder.ts'

export const GOING_AWAY: ReplyFault = {
  code: 'GOING_AWAY',
  message: 'the backend is shutting down: ask again',
}
export const QUEUE_FULL: ReplyFault = { code: 'QUEUE_FULL', message: 'too many questions are waiting' }
export const TIMEOUT: ReplyFault = { code: 'TIMEOUT', message: 'the assistant fell silent' }
export const FAILED: ReplyFault = { code: 'FAILED', message: 'the assistant failed' }

/**
 * A piece of an answer that is kept. A class, so that nothing an app's responder gives is taken
 * for one.
 */
export class AnswerPiece {
  readonly text: string
  /** Where to go on from, behind it. */
  readonly offset: string
  /** The answer begins anew: what was before is void. */
  readonly reset: boolean

  constructor(text: string, offset: string, reset = false) {
    this.text = text
    this.offset = offset
    this.reset = reset
  }
}

/**
 * Why an answer ended before its responder had: the asker's own wish, a fault, or that nobody is
 * to be told here.
 */
export type Cut = 'stopped' | 'silently' | ReplyFault

/** The reason that the signal of an answer aborts with. */
class CutError extends Error {
  readonly cut: Cut

  constructor(cut: Cut) {
    super(cut === 'stopped' ? 'stopped by the user' : cut === 'silently' ? 'the user has gone' : cut.message)
    this.cut = cut
  }
}

export function cutReason(cut: Cut): Error {
  return new CutError(cut)
}

/** Why an answer was cut short, by the reason of its signal. */
export function cutOf(reason: unknown): Cut | undefined {
  return reason instanceof CutError ? reason.cut : undefined
}

/**
 * What the user is told of what a responder threw: the words of a `ResponderError`, and no
 * others.
 */
export function faultOf(error: unknown): ReplyFault {
  const code = fieldOf(error, 'code')
  const message = fieldOf(error, 'message')
  const told =
    fieldOf(error, 'isResponderError') === true && typeof code === 'string' && typeof message === 'string'
  return told ? { code, message } : FAILED
}

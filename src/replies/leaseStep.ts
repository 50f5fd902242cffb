// What becomes of a reply whose producer has not said for too long that it lives. Pure.

import { type AppendRequest, appendStep } from './appendStep.ts'
import type { StepResult } from './LogStore.ts'
import type { LogHead } from './log.ts'
import { contentOf } from './replyMessages.ts'

/** Whether its producer is taken for dead. */
export function isOverdue({ leaseUntil, state, closed }: LogHead, now: number): boolean {
  return leaseUntil !== undefined && state === 'running' && !closed && leaseUntil <= now
}

/** Tells all readers that it was interrupted; it can still be taken over. */
export function interruptStep(head: LogHead | undefined, now: number): StepResult<boolean> {
  if (!head || !isOverdue(head, now)) return { result: false, writes: [] }
  const { result, writes } = appendStep(head, INTERRUPTED, { maxBytes: Infinity }, now)
  return { result: result.kind === 'appended', writes }
}

const INTERRUPTED: AppendRequest = {
  contentType: 'application/json',
  content: contentOf({ state: 'interrupted' }),
  malformed: undefined,
  close: false,
  state: 'interrupted',
  seq: undefined,
  producer: undefined,
}

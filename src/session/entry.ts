// A reliable message on its way out, and why one may never arrive.

import type { Payload } from './frames.ts'

/** `expiresAt` of a message that may wait for ever. */
export const NEVER = -1

/** Plain data: it is what a store keeps. */
export interface Entry {
  /** Its sender's own count over all sessions, for receipts; 0 for a tombstone. */
  seq: number
  /** 0 to 255 for bytes, `TEXT` for text. */
  stream: number
  payload: Payload
  /** Payload bytes. */
  bytes: number
  /** Higher ones are numbered first; equal ones in the order they came. */
  priority: number
  /** When it is dropped if it has no number by then, on the scale of the `now` of all steps; `NEVER` for never. */
  expiresAt: number
}

/** Why a message that had no number will not arrive. */
export type DropReason =
  /** There was no room for it. */
  | 'overflow'
  /** Its time to live passed. */
  | 'expired'
  /** The server that was found takes no message of its size. */
  | 'tooLarge'
  /** The session's owner stopped for good. */
  | 'closed'

// What went wrong with a store, in a word that a program can decide on.

import { CommsError } from '../core/errors.ts'

/** Why a store cannot be read or written. */
export type StorageReason =
  /** Another owner holds it, in this process or in another, or somebody else writes for too long. */
  | 'locked'
  /** What is there is no store, or a damaged one. */
  | 'corrupt'
  /** No room: the disk, or the browser's quota. */
  | 'full'
  /** It may be read and not written. */
  | 'readOnly'
  /** It cannot be opened: no such folder, no permission, private mode, an input or output error. */
  | 'unavailable'
  /** A write contradicts what is recorded: an epoch that is not above the last, a number for an unknown session. */
  | 'conflict'
  /** Another owner has taken it over, or it was wiped: what is there is not to be touched any more. */
  | 'lost'
  /** Its owner has closed it, or never loaded it. */
  | 'closed'

/** A store failed; `code` is `STORAGE`, `cause` the store's own error. */
export class StorageError extends CommsError {
  override readonly name = 'StorageError'
  readonly isStorageError = true
  readonly reason: StorageReason

  constructor(message: string, init: { reason: StorageReason; cause?: unknown }) {
    super(message, { ...('cause' in init && { cause: init.cause }), code: 'STORAGE' })
    this.reason = init.reason
  }
}

/** Whether `error` is a `StorageError`, also one of another copy of the package. */
export function isStorageError(error: unknown): error is StorageError {
  return (error as { isStorageError?: unknown } | null)?.isStorageError === true
}

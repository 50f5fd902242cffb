// The browser's errors in the library's words.

import { isStorageError, StorageError, type StorageReason } from '../StorageError.ts'

const REASONS: Partial<Record<string, { reason: StorageReason; advice: string }>> = {
  QuotaExceededError: {
    reason: 'full',
    advice: 'Free room on the disk, or ask for more with navigator.storage.persist()',
  },
  ReadOnlyError: { reason: 'readOnly', advice: 'See whether the browser may keep data for this site' },
  // A store is missing: the database is not ours, or half made.
  NotFoundError: { reason: 'corrupt', advice: 'Clear the data of this site' },
}
const OTHER = {
  reason: 'unavailable',
  advice:
    'Private windows, blocked cookies, frames of other sites and sandboxed ones without allow-same-origin may have no IndexedDB',
} as const

/** What a handler did wrong in its own stores: its error, not the outbox's. */
const OF_THE_APP = new Set(['ConstraintError', 'DataError', 'DataCloneError'])

/** `error` as a StorageError when it is one of the browser; else as it is. */
export function toStorageError(error: unknown, what: string): unknown {
  if (isStorageError(error)) return error
  // Browsers without IndexedDB have no such name at all.
  const missing = error instanceof ReferenceError || !hasIndexedDb()
  if (!missing && !(error instanceof DOMException)) return error
  const { name, message } = error as Error
  if (OF_THE_APP.has(name)) return error
  const { reason, advice } = REASONS[name] ?? OTHER
  return new StorageError(`cannot ${what}: ${message || name}. ${advice}`, { reason, cause: error })
}

function hasIndexedDb(): boolean {
  try {
    return globalThis.indexedDB !== undefined
  } catch {
    // In a frame that may not have it, even looking throws.
    return false
  }
}

// "guru-comms/storage/indexeddb": a durable outbox for browsers. Re-exports only.

export { isStorageError, StorageError, type StorageReason } from '../StorageError.ts'
export { type IndexedDbOutbox, type IndexedDbOutboxOptions, indexedDbOutbox } from './IndexedDbOutbox.ts'

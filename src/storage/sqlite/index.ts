// "guru-comms/storage/sqlite": durable stores on `node:sqlite`. Re-exports only.

/// <reference types="node" preserve="true" />

export { isStorageError, StorageError, type StorageReason } from '../StorageError.ts'
export { type SqliteLogStoreOptions, sqliteLogStore } from './SqliteLogStore.ts'
export { type SqliteOutbox, type SqliteOutboxOptions, sqliteOutbox } from './SqliteOutbox.ts'
export {
  type SqliteSessionStore,
  type SqliteSessionStoreOptions,
  sqliteSessionStore,
} from './SqliteSessionStore.ts'

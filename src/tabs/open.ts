// What a shared connection is made from.

import {
  callable,
  checkOption,
  checkOptions,
  oneOf,
  plainObject,
  type Rule,
  type Rules,
  withDefaults,
} from '../core/options.ts'
import type { OutboxStore } from '../session/store.ts'
import { indexedDbOutbox } from '../storage/indexeddb/IndexedDbOutbox.ts'
import { browserTabs } from './browserTabs.ts'
import { MARKS, markedOutbox } from './originOutbox.ts'
import { type Line, SharedConnection } from './SharedConnection.ts'

export interface SharedConnectionOptions {
  /** Makes the connection in the tab that leads. It has to take a session, and this storage: its messages outlive the tab. */
  connect: (storage: OutboxStore) => Line
  /** Tabs with the same name share a connection; its outbox is the one of that name. @default 'default' */
  name?: string | undefined
  /** Object stores for the app, as of `indexedDbOutbox`. @default none */
  stores?: Readonly<Record<string, IDBObjectStoreParameters>> | undefined
  /** As of `indexedDbOutbox`. @default 'strict' */
  durability?: 'strict' | 'relaxed' | undefined
}

const name: Rule = {
  expected: 'a string that is not empty',
  accepts: (value) => typeof value === 'string' && value !== '',
}
const rules: Rules<SharedConnectionOptions> = {
  connect: callable,
  name,
  stores: plainObject,
  durability: oneOf('strict', 'relaxed'),
}

/** The page that led may be on its way out: its outbox is free a moment after its lead. In milliseconds. */
const OUTBOX_TIMEOUT = 10_000

/**
 * One connection for all tabs of a site. Every tab calls it alike; one of them leads.
 * @throws TypeError (`code: 'INVALID_OPTION'`) for a wrong option
 * @throws CommsError `UNSUPPORTED` without Web Locks or BroadcastChannel
 */
export function sharedConnection(options: SharedConnectionOptions): SharedConnection {
  checkOptions('sharedConnection', options, rules)
  checkOption('sharedConnection', 'connect', options.connect, callable)
  const settings = withDefaults({ name: 'default', stores: {}, durability: 'strict' as const }, options)
  return new SharedConnection(browserTabs(settings.name), options.connect, () =>
    markedOutbox(
      indexedDbOutbox({
        name: settings.name,
        durability: settings.durability,
        stores: { ...settings.stores, [MARKS]: {} },
        lockTimeout: OUTBOX_TIMEOUT,
      }),
    ),
  )
}

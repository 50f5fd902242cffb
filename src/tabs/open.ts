// What a shared connection is made from, the code of sessions included: it takes one in any case, and a page that was
// opened from a cache may have no network to fetch it from.

import { SessionLayer } from '../connection/sessionLayer.ts'
import {
  callable,
  checkOption,
  checkOptions,
  count,
  oneOf,
  plainObject,
  type Rule,
  type Rules,
  withDefaults,
} from '../core/options.ts'
import { systemRandom } from '../core/random.ts'
import { systemClock } from '../core/systemClock.ts'
import type { OutboxStore } from '../session/store.ts'
import { sharedOutbox } from '../storage/indexeddb/IndexedDbOutbox.ts'
import { browserTabs } from './browserTabs.ts'
import type { Line } from './Leader.ts'
import { MARKS, markedOutbox } from './originOutbox.ts'
import type { BacklogLimits } from './outgoing.ts'
import { SharedConnection } from './SharedConnection.ts'

export interface SharedConnectionOptions {
  /** Makes the connection in the tab that leads. It has to take a session, and this storage: its messages outlive the tab. */
  connect: (storage: OutboxStore) => Line
  /** Tabs with the same name share a connection; its outbox is the one of that name. @default 'default' */
  name?: string | undefined
  /** Object stores for the app, as of `indexedDbOutbox`. @default none */
  stores?: Readonly<Record<string, IDBObjectStoreParameters>> | undefined
  /** As of `indexedDbOutbox`. @default 'strict' */
  durability?: 'strict' | 'relaxed' | undefined
  /** How many messages this tab keeps that the leading one does not have yet. @default 10000 */
  maxQueueMessages?: number | undefined
  /** Their bytes together. @default 16 MiB */
  maxQueueBytes?: number | undefined
  /** What gives way when that is full, as of `GuruConnection`. @default 'drop-oldest' */
  overflow?: BacklogLimits['overflow'] | undefined
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
  maxQueueMessages: count,
  maxQueueBytes: count,
  overflow: oneOf('drop-oldest', 'drop-newest', 'reject'),
}
const defaults = {
  name: 'default',
  stores: {} as Readonly<Record<string, IDBObjectStoreParameters>>,
  durability: 'strict' as 'strict' | 'relaxed',
  maxQueueMessages: 10_000,
  maxQueueBytes: 16 * 2 ** 20,
  overflow: 'drop-oldest' as BacklogLimits['overflow'],
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
  const { name, durability, stores, ...limits } = withDefaults(defaults, options)
  return new SharedConnection({
    tabs: browserTabs(name),
    connect: options.connect,
    makeOutbox: (takeOver) =>
      markedOutbox(
        sharedOutbox(
          { name, durability, stores: { ...stores, [MARKS]: {} }, lockTimeout: OUTBOX_TIMEOUT },
          takeOver,
        ),
      ),
    limits,
    clock: systemClock,
    random: systemRandom,
    code: SessionLayer,
  })
}

// How tabs of a browser find each other: a Web Lock for who leads and one for each tab that is there, a BroadcastChannel
// for what they say. It reaches pages and workers of the same origin and profile.

import { CommsError } from '../core/errors.ts'
import type { Tabs } from './SharedConnection.ts'

/** @throws CommsError `UNSUPPORTED` without Web Locks or BroadcastChannel */
export function browserTabs(name: string): Tabs {
  const locks: LockManager | undefined = globalThis.navigator?.locks
  if (!locks || typeof BroadcastChannel === 'undefined') {
    throw new CommsError(
      'tabs share a connection through Web Locks and a BroadcastChannel: serve the page over https:, or from localhost',
      { code: 'UNSUPPORTED' },
    )
  }
  const scope = `guru-tabs-${name}`
  const prefix = `${scope}/`
  const channel = new BroadcastChannel(scope)
  return {
    async lead(lead, signal) {
      await locks.request(scope, { signal }, lead)
    },
    show(tab, signal) {
      const shown = locks.request(
        prefix + tab,
        () => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
      )
      // Without it, the tab may be taken for gone: its marks are forgotten, nothing else.
      shown.catch(() => {})
    },
    async present() {
      const { held = [], pending = [] } = await locks.query()
      const names = [...held, ...pending].map((lock) => lock.name ?? '')
      return new Set(names.filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length)))
    },
    post: (message) => channel.postMessage(message),
    listen: (listener) => channel.addEventListener('message', ({ data }) => listener(data)),
    close: () => channel.close(),
  }
}

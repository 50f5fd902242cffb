// How tabs of a browser find each other: a Web Lock for who leads and one for each tab that is there, a BroadcastChannel
// for what they say. It reaches pages and workers of the same origin and profile.

import { CommsError } from '../core/errors.ts'
import { webLocks } from '../storage/indexeddb/webLock.ts'
import type { Envelope } from './protocol.ts'

/** What the platform has for tabs; a test has its own. */
export interface Tabs {
  /**
   * Runs `lead` when this tab is to lead; it leads until the promise settles. `signal` withdraws the wish. Rejects with an
   * `AbortError` when another tab takes the lead over.
   * @param takeOver from whoever leads, now
   */
  lead(lead: () => Promise<void>, signal: AbortSignal, takeOver: boolean): Promise<void>
  /** Shows that this tab is there, until `signal` or its end. */
  show(tab: string, signal: AbortSignal): void
  /** The tabs that are there. */
  present(): Promise<ReadonlySet<string>>
  /** The tabs of the page that holds the lead; `undefined` when nobody does. */
  leaders(): Promise<ReadonlySet<string> | undefined>
  /** Sends to all other tabs, in order. */
  post(envelope: Envelope): void
  listen(listener: (data: unknown) => void): void
  /** The page goes into the back/forward cache or is frozen (`away`), comes back, or goes for good. */
  onLife(listener: (change: 'away' | 'back' | 'gone') => void): void
  /** While the page is away nothing of it may stand in anybody's way. */
  suspend(): void
  resume(): void
  close(): void
}

/** @throws CommsError `UNSUPPORTED` without Web Locks or BroadcastChannel */
export function browserTabs(name: string): Tabs {
  const scope = `guru-tabs-${name}`
  const prefix = `${scope}/`
  const locks = webLocks()
  if (!locks)
    throw missing(
      'Web Locks',
      'serve the page over https:, or from localhost; the browser has to be of 2022 or newer',
    )
  if (typeof BroadcastChannel === 'undefined')
    throw missing('a BroadcastChannel', 'the browser has to be of 2022 or newer')
  let heard: (data: unknown) => void = () => {}
  const open = () => {
    const opened = new BroadcastChannel(scope)
    opened.addEventListener('message', ({ data }) => heard(data))
    return opened
  }
  let channel: BroadcastChannel | undefined = open()
  const life = new AbortController()
  /** Names of tabs, by the page or worker that shows them. */
  const query = async () => {
    const { held = [], pending = [] } = await locks.query()
    const shown = [...held, ...pending].filter((lock) => lock.name?.startsWith(prefix))
    const leader = held.find((lock) => lock.name === scope)
    return { leader, shown: shown.map((lock) => ({ ...lock, tab: (lock.name ?? '').slice(prefix.length) })) }
  }
  return {
    async lead(lead, signal, takeOver) {
      await locks.request(scope, takeOver ? { steal: true } : { signal }, () =>
        signal.aborted ? undefined : lead(),
      )
    },
    show(tab, signal) {
      const shown = locks.request(
        prefix + tab,
        () => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
      )
      // Without it, the tab may be taken for gone: its marks are forgotten after a while, nothing else.
      shown.catch(() => {})
    },
    async present() {
      const { shown } = await query()
      return new Set(shown.map(({ tab }) => tab))
    },
    async leaders() {
      const { leader, shown } = await query()
      if (!leader) return undefined
      return new Set(shown.filter(({ clientId }) => clientId === leader.clientId).map(({ tab }) => tab))
    },
    post: (envelope) => channel?.postMessage(envelope),
    listen(listener) {
      heard = listener
    },
    onLife(listener) {
      if (typeof document === 'undefined') return
      const { signal } = life
      const on = (target: EventTarget, type: string, change: (event: Event) => 'away' | 'back' | 'gone') =>
        target.addEventListener(type, (event) => listener(change(event)), { signal })
      on(globalThis, 'pagehide', (event) => ((event as PageTransitionEvent).persisted ? 'away' : 'gone'))
      on(document, 'freeze', () => 'away')
      on(document, 'resume', () => 'back')
      on(globalThis, 'pageshow', () => 'back')
    },
    suspend() {
      channel?.close()
      channel = undefined
    },
    resume() {
      channel ??= open()
    },
    close() {
      life.abort()
      channel?.close()
      channel = undefined
    },
  }
}

function missing(what: string, advice: string): CommsError {
  return new CommsError(
    `sharedConnection: there is no ${what} here, which tabs need to share a connection: ${advice}`,
    {
      code: 'UNSUPPORTED',
    },
  )
}

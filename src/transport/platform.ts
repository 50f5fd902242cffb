// What a line asks of the platform beside sockets: is the server's health address well, and has the network
// or the user come back? Both work in Node and in browsers; where there is nothing to ask, the answer is no.

import type { LinePlatform } from '../connection/Line.ts'

/** Asks with the global fetch. Only a readable 2xx is a yes: an opaque answer or a redirect is none. */
async function probe(url: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(url, { signal, cache: 'no-store', credentials: 'omit', redirect: 'manual' })
  // Unread, the body would hold its connection.
  response.body?.cancel().catch(() => {})
  return response.ok
}

const BACK = ['online', 'pageshow'] as const

function watch(onHint: (hint: 'back' | 'gone') => void): (() => void) | undefined {
  // Browsers and workers have these; Node has none.
  if (typeof addEventListener !== 'function') return undefined
  const { document } = globalThis
  const back = () => onHint('back')
  const gone = () => onHint('gone')
  const visible = () => {
    if (document.visibilityState === 'visible') back()
  }
  for (const name of BACK) addEventListener(name, back)
  addEventListener('offline', gone)
  document?.addEventListener('visibilitychange', visible)
  return () => {
    for (const name of BACK) removeEventListener(name, back)
    removeEventListener('offline', gone)
    document?.removeEventListener('visibilitychange', visible)
  }
}

export const platform: LinePlatform = { probe, watch }

// What a connection asks of the platform: sockets; is the server's health address well; has the network or the user
// come back? All work in Node and in browsers; where there is nothing to ask, the answer is no.

import { openWebSocket, sendsAuthorization, utf8Length } from '#websocket'
import type { Platform } from '../connection/LineSocket.ts'

/** Asks with the global fetch. Only a readable 2xx is a yes: an opaque answer or a redirect is none. */
async function probe(url: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(url, { signal, cache: 'no-store', credentials: 'omit', redirect: 'manual' })
  // Unread, the body would hold its connection.
  response.body?.cancel().catch(() => {})
  return response.ok
}

const HINTS = ['online', 'pageshow', 'offline', 'visibilitychange'] as const

function watch(onHint: (hint: 'back' | 'gone') => void): (() => void) | undefined {
  // Browsers and workers have these; Node has none.
  if (typeof addEventListener !== 'function') return undefined
  const { document } = globalThis
  const onEvent = ({ type }: Event) => {
    // The page goes to sleep: that says nothing about the network.
    if (type === 'visibilitychange' && document.visibilityState !== 'visible') return
    onHint(type === 'offline' ? 'gone' : 'back')
  }
  // A change of visibility is told to the document, and rises from there.
  for (const name of HINTS) addEventListener(name, onEvent)
  return () => {
    for (const name of HINTS) removeEventListener(name, onEvent)
  }
}

export const platform: Platform = { probe, watch, open: openWebSocket, sendsAuthorization, utf8Length }

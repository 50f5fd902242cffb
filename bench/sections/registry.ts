// The sections in the order of the report.

import type { Section } from './section.ts'

// A section is only ever handed its own data back, so what that is stays its own affair.
const loaders: Record<string, () => Promise<unknown>> = {
  http: async () => (await import('./http.ts')).http,
  ws: async () => (await import('./ws.ts')).ws,
  session: async () => (await import('./session.ts')).session,
  server: async () => (await import('./server.ts')).server,
  nodes: async () => (await import('./nodes.ts')).nodes,
  reconnect: async () => (await import('./reconnect.ts')).reconnect,
  fate: async () => (await import('./fate.ts')).fate,
  memory: async () => (await import('./memory.ts')).memory,
  size: async () => (await import('./size.ts')).size,
  wire: async () => (await import('./wire.ts')).wire,
  policies: async () => (await import('./policies.ts')).policies,
  steps: async () => (await import('./steps.ts')).steps,
  scale: async () => (await import('./scale.ts')).scale,
  redis: async () => (await import('./redis.ts')).redis,
}

export const sectionNames = Object.keys(loaders)

/** Loaded only once the rivals are installed. */
export async function loadSections(): Promise<Section[]> {
  return (await Promise.all(Object.values(loaders).map((load) => load()))) as Section[]
}

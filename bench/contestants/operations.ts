// What the micro-benchmarks run: a suite is a list of operations, over a build of the library that is handed in as a directory, so that
// another revision's can run the same list.

/** One operation; a promise is awaited before the next. */
export type Operation = () => unknown

export interface Case<Libraries> {
  name: string
  kind: 'ours' | 'peer' | 'base'
  /** Returns promises: its own cost stands over that of awaiting a promise. */
  async: boolean
  make(libraries: Libraries): Operation | Promise<Operation>
}

/** Imports a module of the build by its path; an empty one where another revision has none. */
export type Load = <Module>(path: string) => Promise<Module>

export interface Suite<Libraries> {
  libraries(load: Load): Promise<Libraries>
  cases: Record<string, Case<Libraries>>
}

/** Loaded only by the process that runs it. What its libraries are stays its own affair. */
export const suites = {
  policies: async () => (await import('./policies.ts')).suite as unknown as Suite<unknown>,
  steps: async () => (await import('./steps.ts')).suite as unknown as Suite<unknown>,
}

export type SuiteName = keyof typeof suites

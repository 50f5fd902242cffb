// Time stands still at 0 and its passing is an event: the alarms of a state are read from it, and each rings alone, in any
// order with everything else. Where the moments alone would ring an earlier one too, that is put off for the step.

/** `ACK_DELAY_MS` after 0. */
export const ACK_AT = 200
/** What a `goaway` says. */
export const LEAVE_AT = 300
/** When messages that do not wait for ever are dropped. */
export const TTL_AT = 400
/** How long a handler may take, where that is limited. */
export const GIVE_UP_AT = 600
/** How long a session outlives its connection. */
export const EXPIRES_AT = 1000

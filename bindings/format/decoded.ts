/**
 * What every decoder returns instead of throwing. `foreign`: not ours at all (the magic or, for a header, the uuid is another);
 * `version`: written by a later format; `damaged`: ours, but not as it was written.
 */
export type Decoded<T> =
  | { ok: true; value: T }
  | { ok: false; reason: "foreign" | "version" | "damaged"; message: string };

export type Failure = Extract<Decoded<never>, { ok: false }>;

export function decoded<T>(value: T): Decoded<T> {
  return { ok: true, value };
}

export function damaged(message: string): Failure {
  return { ok: false, reason: "damaged", message };
}

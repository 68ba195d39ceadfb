// Who is seen, as far as the privacy mode lets us know. An identifier of another mode is removed.
import { attempt, makeId } from "./storage";

const enum Session {
  /** Without an event, in milliseconds. */
  End = 1_800_000,
}

export interface Identity {
  session_id?: string | undefined;
  visitor_id?: string | void;
  user_id?: string | undefined;
}

export const identity: Identity = {};

let mode: string | undefined;

/** Take on the identifier of a privacy mode: `off` one per browser, `balanced` one per session of a tab, any other none. */
export const assume = (privacy: string | undefined): void => {
  mode = privacy;
  identity.visitor_id = attempt(() => {
    if (mode == "off") return (localStorage.grove_id ||= makeId());
    delete localStorage.grove_id;
  });
  renew();
};

/** Begin another session if the last event is too long ago; what is kept is the session's id and the time. */
export const renew = (): void => {
  attempt(() => {
    if (mode == "balanced") {
      const [id, at] = ("" + sessionStorage.grove_id).split(",");
      const current = Date.now() - +at! < Session.End ? id : makeId();
      sessionStorage.grove_id = [current, Date.now()];
      identity.session_id = current;
    } else delete sessionStorage.grove_id;
  });
};

/** Leave out of JSON what may be sent, but must not be kept in the browser in the present mode. */
export const keepable = (name: string, value: unknown): unknown =>
  identity.session_id || identity.visitor_id || name != "user_id" ? value : undefined;

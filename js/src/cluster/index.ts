/** Services of a browser that has joined a cluster. */
import "./peers.js";
import "./view.js";

// After signing out: the next person at this computer finds no sound of the one before.
import { dropAll } from "./parcels.js";

sessionStorage.clear(); // What was being written on the Speak page.
dropAll().catch(() => {}); // A browser that keeps nothing has nothing to drop.

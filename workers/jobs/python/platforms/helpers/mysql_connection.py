"""mysql_connection.py: a MySQL table as a job's target, and as a source for those who have a driver.

`store` writes nothing: the sanjer takes the rows, and what becomes of them is the job's end. `execute` needs a driver of the users'
own (pymysql, MySQLdb), and connects when it is first called.
"""
import platoon_child
import platoon_plain


class MysqlConnection:
    def __init__(self, username, password, hostname, db, table=None):
        self._settings = {"hostname": hostname, "db": db, "username": username, "password": password}
        self._table, self._driver = table, None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self._driver is not None:
            if kind is None:
                self._driver.commit()
            self._driver.close()
            self._driver = None

    def store(self, data, updater, table=None):
        rows = platoon_plain.rows(data)
        updater("storage", f"{len(rows)} rows")
        platoon_child.say(store={"type": "mysql", "settings": {**self._settings, "table": table or self._table}, "rows": rows})
        return f"{len(rows)} rows"

    def execute(self, query, parameters=None):
        """A cursor: fetchall, fetchone, and so on."""
        if self._driver is None:
            self._driver = self._connect()
        cursor = self._driver.cursor()
        cursor.execute(query, parameters)
        return cursor

    def _connect(self):
        try:
            import pymysql as driver
        except ImportError:
            try:
                import MySQLdb as driver
            except ImportError:
                raise NotImplementedError("execute needs a driver: install pymysql or MySQLdb for this interpreter") from None
        host, s = self._settings["hostname"], self._settings
        where = {"unix_socket": host} if host.startswith("/") else {"host": host.partition(":")[0], "port": int(host.partition(":")[2] or 3306)}
        return driver.connect(user=s["username"], password=s["password"], database=s["db"], **where)

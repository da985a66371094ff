"""services.py: what Etlas' platforms ask of its application: configuration, log, the Redis."""
import configparser
import logging

import platoon_child


def _config():
    """As Etlas' config.ini has it, without passwords."""
    redis = platoon_child.hello.get("redis", {})
    config = configparser.ConfigParser(interpolation=None)
    config.read_dict({
        "logging": {"level": "info"},
        "platforms": {"class_storage": platoon_child.hello.get("folder", "")},
        "redis": {name: str(redis[name]) for name in ("host", "port", "db") if redis.get(name) not in (None, "")},
    })
    return config


class Bootstrap:
    """Its attributes are what BasePlatform.run took over."""

    def __init__(self):
        self._config = _config()
        self.logger = logging.getLogger()


class Factory:
    def get_config(self):
        return _config()

    def get_logger(self):
        return logging.getLogger()

    def get_storage_client(self, client_type):
        if client_type != "redis":
            raise KeyError(f"there is no storage {client_type}: redis is wanted")
        import platoon_redis
        return platoon_redis.Redis(platoon_child.hello.get("redis", {}))
